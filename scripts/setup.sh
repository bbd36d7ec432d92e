#!/usr/bin/env bash
# Make the virtual environment $1 with spikecli, its extras $2, and the versions in constraints.txt; called by the Makefile.
# Your own pip settings (PIP_FIND_LINKS, proxies, pip.conf) and your choice of interpreter (PYTHON=…) are honored.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${1:-.venv}
extras=${2:-clip,events,train,view,dev}

usable='import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c "$usable" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "error: $candidate has no venv module; install it (Debian: apt-get install $("$candidate" -c \
                'import sys; print("python%d.%d-venv" % sys.version_info[:2])')) and run make again" >&2
            return 1
        fi
    done
    echo "error: found $("${PYTHON:-python3}" --version 2>/dev/null || echo none) as ${PYTHON:-python3}; spikecli needs Python 3.11 or newer;" \
        "install it, or name it: make demo PYTHON=/path/to/python3.11" >&2
    return 1
}

# Open3D needs these; without them everything but its pictures and mesh readers works.
libraries=(libusb-1.0-0 libgl1 libegl1 libgomp1 libvulkan1 mesa-vulkan-drivers)

missing_libraries() {
    local library
    for library in "${libraries[@]}"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$library" 2>/dev/null | grep -qx installed || echo "$library"
    done
}

install_libraries() {
    [ "$(uname -s)" = Linux ] || return 0
    if ! command -v dpkg-query >/dev/null; then
        echo "note: Open3D needs your distribution's libusb-1.0, libGL, libEGL, libgomp, Vulkan loader and Mesa's Vulkan driver"
        return
    fi
    local missing log="$venv/apt.log"
    missing=$(missing_libraries | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing system libraries for Open3D: $missing"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086
        if { apt-get update && apt-get install -y --no-install-recommends $missing; } </dev/null >"$log" 2>&1; then
            return
        fi
        echo "note: that failed (see $log)"
    fi
    echo "note: for Open3D's pictures run: sudo apt-get install -y $missing"
}

# One line for each package becomes one moving line on a terminal, or a line now and then in a log.
show_progress() {
    local tty=0
    [ -t 1 ] && tty=1
    awk -v tty="$tty" '
        function show(text) { if (tty) printf "\r\033[K  %s", text; else print "  " text; fflush() }
        /^(Collecting|Processing|Requirement already satisfied: )/ {
            sub(/^Requirement already satisfied: /, "Having ")
            name = tolower($2); sub(/.*\//, "", name); sub(/[<>=!~;\[(].*/, "", name); sub(/-[0-9].*/, "", name)
            gsub("_", "-", name)
            if (name in seen || name == "" || name ~ /^spikecli/) next
            seen[name] = 1; done++
            if (tty || done % 20 == 0) show(done " packages: " name)
        }
        /Downloading .*\([0-9.]+ [MG]B\)/ { if (tty) show($1 " " $2 " " $3 " " $4) }
        /^Installing collected packages/ { show("unpacking " done " packages, which takes a minute") }
        END { if (tty) printf "\r\033[K" }'
}

if ! "$venv/bin/python" -c "$usable" >/dev/null 2>&1; then
    python=$(find_python)
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
install_libraries
echo "Installing spikecli and the packages pinned in constraints.txt (the first time takes a minute or more)"
log="$venv/pip-errors.log"
pip=("$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile -c constraints.txt)
# The pip that Python 3.11 brings takes twice as long to look up so many packages.
"${pip[@]}" --quiet --upgrade pip </dev/null >/dev/null 2>"$log" || echo "note: pip could not be renewed ($log); this takes longer"
# Without --no-compile pip translates every module of every package, which takes as long as all the rest. Python translates
# those that are used, when they are first used.
if ! "${pip[@]}" -e ".[$extras]" </dev/null 2>"$log" | show_progress; then
    grep -v '^WARNING' "$log" | tail -n 20 >&2 || true
    echo "error: the packages could not be installed; mend what pip says above and run make again" >&2
    exit 1
fi
echo "Installed: $("$venv/bin/spikecli" --version)"
