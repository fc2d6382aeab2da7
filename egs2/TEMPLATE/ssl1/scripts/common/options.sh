# Sourced by ssl1.sh and hubert1.sh: the options both have, with their defaults; --help prints this block.
# shellcheck shell=bash disable=SC2034

# What each stage reads and writes: doc/generate/stages.py makes the tables in the README and in doc/ of these lines.
# 1 data | the corpus | `data/<set>/{wav.scp,utt2spk,spk2utt,...}`, by `local/data.sh`
# 2 speed | `data/<set>` | `data/<set>_sp`, only with `--speed_perturb_factors`
# 3 format | `data/<set>` | `dump/org/<set>`: real audio, one rate, mono, with lengths and `rejected.tsv`
# 4 filter | `dump/org/<set>` | `dump/<set>`: what is neither too short nor too long, and its index
# 5 tokens | labels, transcripts, or features | training targets. `hubert1` clusters, `ssl1` imports
# 6 index | `dump/<set>` | the memory-mapped index, brought up to date
# 7 train | index, config | `exp/<name>/{config.yaml,checkpoints,train.log,run.sh,tensorboard,images}`
# 8 evaluate | checkpoint | `exp/<name>/{eval,report.html}`: units, ABX and probes beside MFCC and the untrained model
# 9 pack | checkpoint | `exp/<name>/packed`: one archive with weights, units, card
# 10 upload | packed model | the Hugging Face hub, only with `--hf_repo`

# --- Stages (1 data, 2 speed, 3 format, 4 filter, 5 tokens, 6 index, 7 train, 8 evaluate, 9 pack, 10 upload)
stage=1                   # First stage to run.
stop_stage=10             # Last stage to run.
skip_data_prep=false      # Skip stages 1 to 5.
skip_train=false          # Skip stages 6 and 7.
skip_eval=false           # Skip stage 8.
skip_packing=false        # Skip stage 9.
skip_upload_hf=true       # Skip stage 10.
# --- Machine
ngpu=1                    # GPUs per node; 0 trains on the CPU.
num_nodes=1               # Nodes of the training job.
num_procs_per_node=       # Training processes per node; empty is one for each GPU, one on a CPU.
requeue=true              # A training that saved because its time was up goes back into the queue by itself.
nj=4                      # Parallel jobs of data preparation and labelling.
python=python3            # The interpreter with the toolkit's packages.
dumpdir=dump              # Formatted audio. A folder of another recipe is used as it is: stages 1 to 4 are skipped.
expdir=exp                # Experiments.
# --- Data
train_set=                # Training set, a folder of data/; several, in quotes, are joined. Required.
valid_set=                # Validation set, a folder of data/. Required.
test_sets=                # Further sets, folders of data/, that stages 3 and 4 format and stage 8 evaluates on.
old_sets=                 # Sets of data/ of the domain that a continued model comes from: labelled and measured beside the valid set, never trained on.
lang=noinfo               # Language of the corpus: part of names only.
local_data_opts=          # Options for local/data.sh.
speed_perturb_factors=    # For example "0.9 1.0 1.1"; empty leaves stage 2 out.
feats_type=raw            # Only raw: features are computed in the model.
audio_format=flac         # wav, flac, wav.ark or flac.ark; as_is writes nothing and reads the audio where it lies.
fs=16k                    # Sample rate of the formatted audio.
channel=                  # Channel of multi-channel audio; empty takes the first and says so.
max_rejected_ratio=0.01   # Share of unreadable utterances at which stage 3 stops.
truncation_tolerance=0.1  # Audio that lacks more seconds of what its header says is rejected.
keep_truncated=false      # true: takes what is there of audio that lacks more.
float_full_scale=1        # Full scale in files of floats: 32768 where they have the range of 16 bits.
max_clipped_ratio=0.05    # Share of samples beyond full scale at which an utterance is rejected.
check_audio=sample        # Of as_is: sample decodes some utterances in stage 3, full decodes all.
min_wav_duration=0.1      # Shortest utterance to keep, seconds.
max_wav_duration=20       # Longest utterance to keep, seconds.
# --- Evaluation and sharing
tracker=                  # Tools that show the training: some of "tensorboard wandb mlflow trackio", or none; empty: those of the config (tensorboard).
eval=default              # default: units, ABX and a phone probe in minutes; full: every task, several seeds.
alignment_phoneme_dir=    # Phones where the data folders have no phones.ctm: <set>.ctm, <set>.tsv or TextGrids.
eval_num_clusters=100     # Units of the evaluation's k-means: the same for every model and baseline.
eval_seeds=               # Seeds of k-means and probes; empty is 0, or "0 1 2" with --eval full.
eval_args=                # Options of single parts, such as "probes.tasks=[ctc] probes.linear_ctc=true".
inference_ssl_model=latest # Checkpoint to evaluate, pack and upload: latest, best_<stat>, ave_<n>best or update_<n>.
license=                  # Licence of the packed model, such as cc-by-4.0: part of its card.
pack_formats="huggingface torchaudio" # Forms of other libraries that are packed along, where the model has one.
hf_repo=                  # Hugging Face repository, <user>/<name>, for stage 10.
