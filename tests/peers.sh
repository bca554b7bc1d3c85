#!/usr/bin/env bash
# The real parts that tests talk to: RTSP server, fake GigE camera, MQTT broker, browser, emulated ARM and VNNI. Debian, as root.
# Without them those tests are skipped, each with its reason.
set -euo pipefail
packages=(
    python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-ugly aravis-tools gir1.2-aravis-0.8 ffmpeg mosquitto openssl chromium fonts-dejavu-core
    qemu-user-static libc6-arm64-cross libsimde-dev
)
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
