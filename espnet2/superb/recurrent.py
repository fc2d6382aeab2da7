"""The rules of heads with LSTMs (ASR, SF), and the head that they describe."""

from pydantic import Field
from torch import nn

from espnet2.superb.augment import Masks, SpecAugment
from espnet2.superb.ctc import LstmHead
from espnet2.superb.rules import Rules


class RecurrentRules(Rules):
    """Both configs of s3prl agree in these."""

    eval_every: int = Field(2000, gt=0, description="updates between two looks at dev, which chooses the checkpoint")
    projection: int = Field(1024, gt=0, description="width of the linear layer in front of the head")
    lstm_layers: int = Field(2, gt=0, description="bidirectional LSTMs")
    lstm_width: int = Field(1024, gt=0, description="of each direction")
    dropout: float = Field(0.2, ge=0, lt=1, description="behind every LSTM")
    specaugment: bool = Field(True, description="warp and mask the features of training")
    warp_frames: int = Field(5, gt=0, description="window of the warp of time")
    time_masks: int = Field(2, ge=0, description="of frames")
    time_mask_frames: int = Field(40, gt=0, description="width of a mask is below this")
    frequency_masks: int = Field(4, ge=0, description="of dimensions")
    frequency_mask_width: int = Field(50, gt=0, description="width of a mask is below this")

    def head(self, dim: int, num_symbols: int) -> nn.Module:
        """For features of so many values."""
        head = LstmHead(
            dim, self.projection, num_symbols, num_layers=self.lstm_layers, width=self.lstm_width, dropout=self.dropout
        )
        if self.specaugment:
            head.augment = SpecAugment(
                warp_window=self.warp_frames,
                frequency=Masks(self.frequency_masks, self.frequency_mask_width),
                time=Masks(self.time_masks, self.time_mask_frames),
            )
        return head
