#!/usr/bin/env bash
# Sharpline on 64-bit ARM without a board: Debian's arm64 Python and the arm64 wheels of the core, under qemu-user.
#
#     scripts/arm64.sh CACHE             makes CACHE (needs the network, about 100 MB, 400 MB on disk)
#     scripts/arm64.sh CACHE FOLDER      and compares: `sharpline upscale` and FOLDER/run.py, here and there
#
# FOLDER: what `sharpline export MODEL --board raspberry-pi-4 -o FOLDER` wrote of an integer network. PYTHON: Python with Sharpline here.
# Nothing is installed but qemu-user-static, where it is missing and may be; packages are unpacked, not set up: no
# debootstrap, no chroot, no binfmt_misc. Explained in docs/arm64.md.
set -euo pipefail
cache=$(mkdir -p "$1" && cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
packages=(python3.11-minimal libpython3.11-stdlib libstdc++6 libgomp1)

need_qemu() {
    command -v qemu-aarch64-static >/dev/null && return
    [ "$(id -u)" = 0 ] && apt-get install -qq -y --no-install-recommends qemu-user-static >/dev/null && return
    echo "qemu-aarch64-static is missing: apt-get install qemu-user-static" >&2
    exit 1
}

# apt with lists and folders of its own, for another architecture than the machine's.
foreign_apt() {
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg apt=$cache/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    touch "$apt/status"
    echo "deb [arch=arm64 signed-by=$keys] http://deb.debian.org/debian bookworm main" >"$apt/sources.list"
    printf '%s\n' "Dir::State \"$apt\";" "Dir::State::status \"$apt/status\";" "Dir::State::lists \"$apt/lists\";" \
        "Dir::Cache \"$apt\";" "Dir::Etc::sourcelist \"$apt/sources.list\";" 'Dir::Etc::sourceparts "-";' \
        'APT::Architecture "arm64";' 'APT::Architectures { "arm64"; };' 'APT::Sandbox::User "root";' >"$apt/conf"
    (cd "$apt/archives" && APT_CONFIG=$apt/conf apt-get -qq -o Acquire::Languages=none "$@")
}

debian() {
    foreign_apt update
    local names
    names=$(foreign_apt install --no-install-recommends --print-uris -y "${packages[@]}" | awk '/^\047/ {sub(/_.*/, "", $2); print $2}')
    # shellcheck disable=SC2086
    foreign_apt download $names
    for file in "$cache"/apt/archives/*.deb; do dpkg-deb -x "$file" "$cache/tree"; done
}

wheels() {
    local platforms=(manylinux2014_aarch64)
    for minor in 17 26 27 28 31 34 35 36; do platforms+=("manylinux_2_${minor}_aarch64"); done
    local options=(--quiet --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none)
    options+=("${platforms[@]/#/--platform=}")
    "$python" -c "import sys, tomllib; print(*tomllib.load(open(sys.argv[1], 'rb'))['project']['dependencies'], sep='\n')" \
        "$root/pyproject.toml" >"$cache/requirements.txt"
    echo ai-edge-litert >>"$cache/requirements.txt"
    "$python" -m pip install "${options[@]}" --no-compile --target "$cache/tree/site" -r "$cache/requirements.txt"
}

# A prefix for qemu: the tree, and what /proc/cpuinfo says on that board. The host's says x86, at which ONNX Runtime's
# search for the processor's kind ends with a segmentation fault.
board() { # name, qemu's processor, part number, features
    local place=$cache/$1
    mkdir -p "$place/proc"
    for folder in usr lib etc; do ln -sfn "../tree/$folder" "$place/$folder"; done
    for core in 0 1 2 3; do
        printf 'processor\t: %s\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n' "$core" "$4"
        printf 'CPU part\t: %s\nCPU revision\t: 3\n\n' "$3"
    done >"$place/proc/cpuinfo"
    cat >"$cache/python-$1" <<WRAPPER
#!/bin/sh
export QEMU_CPU=$2 QEMU_LD_PREFIX='$place' PYTHONHOME=/usr PYTHONNOUSERSITE=1 PYTHONPYCACHEPREFIX='$cache/pycache'
export PYTHONPATH='$cache/tree/site:$root/src'
exec qemu-aarch64-static '$cache/tree/usr/bin/python3.11' "\$@"
WRAPPER
    chmod +x "$cache/python-$1"
}

compare() { # both pictures; largest difference that is allowed
    "$python" - "$@" <<'PY'
import sys
import numpy as np
from sharpline.pixels.reading import read_image
here, there = (read_image(name).pixels.astype(int) for name in sys.argv[1:3])
difference = np.abs(here - there)
print(f"    {np.mean(difference == 0):.4%} of the values are equal, largest difference {difference.max()}")
sys.exit(int(difference.max() > int(sys.argv[3])))
PY
}

check() { # folder of a board
    local place picture=$root/examples/coffee.png
    place=$(mktemp -d)
    trap 'rm -rf "$place"' RETURN
    "$python" -c "import sys; from sharpline.pixels.reading import read_image; from sharpline.pixels.writing import write_image
write_image(sys.argv[2], read_image(sys.argv[1]).pixels[:64, :96])" "$picture" "$place/lr.png"
    for precision in fp32 int8; do
        echo "sharpline upscale, $precision:"
        "$python" -m sharpline upscale "$place/lr.png" -o "$place/here.png" --engine ort --precision $precision --overwrite
        "$cache/python-pi4" -m sharpline upscale "$place/lr.png" -o "$place/there.png" --engine ort --precision $precision --overwrite
        compare "$place/here.png" "$place/there.png" $([ $precision = fp32 ] && echo 1 || echo 0)
    done
    [ $# = 0 ] && return
    "$python" -m sharpline upscale "$place/lr.png" -o "$place/here.png" --model "$1"/*int8.onnx --engine ort --overwrite
    for pi in pi4 pi5; do
        for engine in onnxruntime litert compiled; do
            echo "$1/run.py, $engine, $pi:"
            if [ $engine$pi = compiledpi4 ] && ! compgen -G "$1/*.arm64-neon.so" >/dev/null; then
                echo "    left out: this folder's library needs the dot product, which a Pi 4 does not have"
                continue
            fi
            "$cache/python-$pi" "$1/run.py" "$place/lr.png" -o "$place/there.png" --engine $engine --overwrite
            compare "$place/here.png" "$place/there.png" 1
        done
    done
}

need_qemu
if [ ! -e "$cache/complete" ]; then
    rm -rf "$cache/tree" && mkdir -p "$cache/tree"
    debian
    wheels
    touch "$cache/complete"
fi
board pi4 cortex-a72 0xd08 "fp asimd evtstrm crc32 cpuid"
board pi5 cortex-a76 0xd0b "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
echo "$cache/python-pi4 and $cache/python-pi5 run Python 3.11 with Sharpline as on a Raspberry Pi 4 and 5"
[ $# = 1 ] || check "${@:2}"
