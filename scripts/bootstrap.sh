#!/usr/bin/env bash
# Makes .venv from hash-checked pins and installs Shelfwise into it, in place.
#
#   scripts/bootstrap.sh [core|test|bench|full]  core: to run it; test: to change it; bench: to measure; full: ray, torch too
#
# A second run with nothing changed does nothing. An environment made for a bigger set is never cut down to a smaller.
#   PYTHON                  the interpreter to use (default: the first of python3.11, 3.12, 3.13, python3 that fits)
#   SHELFWISE_NO_UV=1       install with pip alone
#   SHELFWISE_NO_TORCH=1    leave torch out of `full`
#   SHELFWISE_TORCH_INDEX   index that has the CPU build of torch (its home page names it), for `full` on Linux
set -euo pipefail

TORCH_VERSION=2.13.0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=.venv
stamp=$venv/.shelfwise-stamp
unfinished=$venv/.shelfwise-unfinished
log=

say() { printf 'shelfwise setup: %s\n' "$*" >&2; }
die() {
    printf 'shelfwise setup: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

rank() {
    case $1 in
    core) echo 1 ;;
    test) echo 2 ;;
    bench) echo 3 ;;
    full) echo 4 ;;
    *) echo 0 ;;
    esac
}

digest() { # of what the named set is made from; the folder is in it because an install in place points there
    {
        echo "$1 $root ${SHELFWISE_NO_TORCH:-}"
        cat "requirements/$1.lock" requirements/tools.lock pyproject.toml scripts/bootstrap.sh
    } | if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

wanted=${1:-core}
[ "$(rank "$wanted")" -gt 0 ] || die "unknown set '$wanted'; use core, test, bench or full"

if [ -f "$stamp" ] && [ -x "$venv/bin/python" ]; then
    read -r have have_digest <"$stamp" || true
    if [ "$(rank "${have:-}")" -ge "$(rank "$wanted")" ]; then
        wanted=$have
        if [ "${have_digest:-}" = "$(digest "$have")" ]; then
            exit 0
        fi
    fi
fi

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13"
        echo "$PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3.13 python3 python; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    die "no Python 3.11, 3.12 or 3.13 found" \
        "Debian 12 or newer, Ubuntu 24.04 or newer: sudo apt-get install python3 python3-venv" \
        "macOS: brew install python@3.12" \
        "Or name one that you have: PYTHON=/path/to/python3.12 make setup"
}

need_disk() { # megabytes
    free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
    case $free_kb in '' | *[!0-9]*) return ;; esac
    [ "$free_kb" -ge $(($1 * 1024)) ] ||
        die "about $1 MB of disk are needed for the '$wanted' set; $((free_kb / 1024)) MB are free in $root"
}

attempt() { # runs a command quietly; on failure shows the end of what it said, and what that most likely means
    touch "$unfinished"
    if "$@" >"$log" 2>&1; then
        rm -f "$unfinished"
        return
    fi
    rm -f "$unfinished"
    tail -n 15 "$log" >&2
    if grep -qiE 'no space left|disk quota' "$log"; then
        die "the disk is full; make room and run the same command again"
    elif grep -qiE 'certificate' "$log"; then
        die "the registry's certificate was not accepted" \
            "If your network has a certificate authority of its own: SSL_CERT_FILE=/path/to/ca.pem make setup"
    elif grep -qiE 'hash(es)? (do not match|mismatch)|mismatch.*hash|do not match the hashes' "$log"; then
        die "a download is not the file that the lock names; nothing was installed from it" \
            "A mirror or proxy may serve rebuilt packages; try another, or report it if there is none"
    elif grep -qiE 'resolve|connect|network|timed? ?out|unreachable|proxy|error sending request|no matching dist' "$log"; then
        die "the package registry could not be reached" \
            "Check the network and run the same command again; what was downloaded already is kept." \
            "Behind a mirror: pip config set global.index-url ..., which this script follows"
    fi
    die "this failed: $*"
}

# An environment that a killed run left half made, or whose interpreter is gone or too old, is made anew.
if [ -e "$unfinished" ] || ! { [ -x "$venv/bin/python" ] && fits "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        die "$python has no venv module" "Debian, Ubuntu: sudo apt-get install python3-venv"
    case $wanted in core) need_disk 700 ;; test | bench) need_disk 2000 ;; full) need_disk 4000 ;; esac
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" || die "$python -m venv failed (see above)"
fi
rm -f "$stamp"
log=$venv/.shelfwise-setup.log
py=$venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1

# uv does not read pip's configuration: hand it the two parts that a company network needs.
pip_setting() { "$py" -m pip config get "global.$1" 2>/dev/null || true; }
if [ -z "${SSL_CERT_FILE:-}" ]; then
    certificates=${PIP_CERT:-$(pip_setting cert)}
    if [ -n "$certificates" ]; then export SSL_CERT_FILE=$certificates; else export UV_SYSTEM_CERTS=1; fi
fi
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    index=${PIP_INDEX_URL:-$(pip_setting index-url)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX=$index; fi
fi

use_uv=yes
if [ -n "${SHELFWISE_NO_UV:-}" ]; then
    use_uv=no
elif ! "$py" -m pip install -q --require-hashes -r requirements/tools.lock >"$log" 2>&1; then
    use_uv=no
    say "uv is not to be had here; installing with pip, which takes longer"
fi

say "installing the '$wanted' set"
if [ $use_uv = yes ]; then
    # `sync` also takes out what the lock no longer names; `full` only adds, for torch is beside its lock.
    if [ "$wanted" = full ]; then
        attempt "$py" -m uv pip install --python "$py" --require-hashes -r requirements/full.lock
    else
        attempt "$py" -m uv pip sync --python "$py" --require-hashes "requirements/$wanted.lock"
    fi
    attempt "$py" -m uv pip install --python "$py" --no-deps --no-build-isolation -e .
else
    attempt "$py" -m pip install --require-hashes -r "requirements/$wanted.lock"
    attempt "$py" -m pip install --no-deps --no-build-isolation -e .
fi

if [ "$wanted" != core ] && [ "$(uname -s)" = Linux ]; then
    "$py" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null ||
        say "warning: libgomp.so.1 is missing and LightGBM needs it; Debian, Ubuntu: sudo apt-get install libgomp1"
fi

if [ "$wanted" = full ] && [ -z "${SHELFWISE_NO_TORCH:-}" ]; then
    # Not in the lock: the public registry's Linux wheel is the CUDA build with gigabytes of GPU libraries. pip finds
    # the CPU build in its own find-links folder, or in the index that SHELFWISE_TORCH_INDEX names.
    torch=torch==$TORCH_VERSION
    if [ "$(uname -s)" = Linux ]; then torch=$torch+cpu; fi
    if ! "$py" -m pip install -q --no-deps ${SHELFWISE_TORCH_INDEX:+--index-url "$SHELFWISE_TORCH_INDEX"} "$torch" \
        >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        die "the CPU build of torch ($torch) was not found" \
            "Name the index that has it (torch's home page does): SHELFWISE_TORCH_INDEX=... make test-full" \
            "or leave torch out: SHELFWISE_NO_TORCH=1 make test-full"
    fi
    "$py" -c 'import torch; assert torch.version.cuda is None, torch.version.cuda' ||
        die "torch does not import, or is a CUDA build, where the CPU one was asked for"
fi

printf '%s %s\n' "$wanted" "$(digest "$wanted")" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "ready: $venv holds the '$wanted' set"
