"""Log-mel frames in, a waveform one can listen to out: mel inversion and Griffin-Lim."""

import torch
from torch import Tensor

from espnet2.ssl.modules.mel import LogMel
from espnet2.utils.errors import UserError


class GriffinLimVocoder:
    """No training and no weights: what it costs is heard by passing the mel of real audio through it.

    Args:
        mel: of window `hann`; its own filters are inverted.
        num_iterations: of Griffin and Lim (1984), in the fast form of Perraudin et al. (2013).

    Raises:
        UserError: a mel of Kaldi's kind, whose pre-emphasis and window no inversion is made for.
    """

    def __init__(self, mel: LogMel, num_iterations: int = 64) -> None:
        from torchaudio.transforms import GriffinLim, InverseMelScale

        settings = mel.settings
        if settings.window != "hann":
            raise UserError(
                f"frontend_conf: window is {settings.window}; audio can be made from a mel of window: hann only "
                "(--no_audio draws the figure alone)"
            )
        self.geometry = mel.geometry
        bins, num_mels = mel.filters.shape
        self.inverse = InverseMelScale(bins, num_mels, settings.sample_rate)
        self.inverse.fb.copy_(mel.filters.cpu())
        self.griffin_lim = GriffinLim(
            n_fft=settings.fft_samples,
            n_iter=num_iterations,
            win_length=settings.window_samples,
            hop_length=mel.geometry.hop_samples,
            power=1.0,
        )

    @torch.no_grad()
    def __call__(self, log_mel: Tensor, *, seed: int = 0) -> Tensor:
        """Make audio.

        Args:
            log_mel: (frames, mels), as `LogMel` gives it.
            seed: of the phases that the iterations start from.

        Returns:
            (samples,) on the host, as many as the frames cover, aligned with the audio the frames came from.
        """
        amplitudes = self.inverse(log_mel.cpu().exp().T)  # (bins, frames)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            wav = self.griffin_lim(amplitudes)
        # Its first frame is centred on sample 0, ours begins there.
        wav = torch.nn.functional.pad(wav, (self.geometry.receptive_field_samples // 2, 0))
        num_samples = self.geometry.num_samples(len(log_mel))
        return torch.nn.functional.pad(wav, (0, max(0, num_samples - len(wav))))[:num_samples]
