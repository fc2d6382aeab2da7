#!/usr/bin/env bash
# The name of a folder in, <folder>/mboshi out: audio, transcripts and phone times of the Mboshi corpus, cloned with git.
#
# Usage: $0 [options] <folder>        e.g.: $0 downloads
# One commit, without its history and without what the recipe does not read. What a stopped run has fetched is kept.
set -euo pipefail

url=https://github.com/besacier/mboshi-french-parallel-corpus
commit=83c5b428a8251881711fa45e4ea5bb5ea6bcdc9b    # of the results; its name is the checksum of all it holds

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 1 ] || die "expected one folder; e.g.: $0 downloads"
folder=$1
partial="${folder}/.mboshi_partial"
other="or pass --mboshi_root with the folder of a clone that you have"

command -v git > /dev/null || die "fetching Mboshi needs the program git; ${other}"
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE    # of a hook that this may run in
export GIT_TERMINAL_PROMPT=0                  # an address that is not there is an error, no question for a password
fetch_failed() {
    die "${url}: ${1} failed (see above); run again to go on, ${other}"
}
clone() { git -C "${partial}" "$@"; }

mkdir -p "${partial}"
if ! [ -e "${partial}/.git/HEAD" ]; then git init -q "${partial}"; fi
rm -f "${partial}"/.git/{index,shallow,info/sparse-checkout}.lock    # of a run that was killed
clone config remote.origin.url "${url}"
clone config remote.origin.promisor true
clone config remote.origin.partialclonefilter blob:none
clone config core.autocrlf false
log "fetching the list of files"
clone fetch -q --depth 1 --filter=blob:none origin "${commit}" || fetch_failed "fetching commit ${commit}"
# The audio comes in ten parts of 20 to 40 MB, by the last digit of its names: what a stopped run loses is one part.
patterns=("/ZRC_scoring/mboshi/in/*.phn" "/full_corpus_newsplit/all/*.mb.cleaned" "/full_corpus_newsplit/dev/*.mb.cleaned")
for digit in "" 0 1 2 3 4 5 6 7 8 9; do
    if [ -n "${digit}" ]; then patterns+=("/full_corpus_newsplit/all/*${digit}.wav"); fi
    log "fetching ${digit:+audio, names that end in }${digit:-transcripts and phone times}"
    clone sparse-checkout set --no-cone "${patterns[@]}" || fetch_failed "choosing files"
    clone -c advice.detachedHead=false checkout -q "${commit}" || fetch_failed "fetching files"
done
changed=$(clone status --porcelain)
[ -z "${changed}" ] || die "${partial}: not what commit ${commit} holds: ${changed%%$'\n'*}; delete that folder and run again"
rm -rf "${partial}/.git"               # the same audio a second time
mv "${partial}" "${folder}/mboshi"     # only a complete corpus takes the final name
