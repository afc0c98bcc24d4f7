# shellcheck shell=bash
# Shared by the scripts in this folder; sourced, not run.
#
# RINGFENCE_CACHE names the folder for the drivers of the matrix. By default it is the user's cache, so
# that a fresh clone finds what an earlier one fetched.

set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "$*"; exit 1; }

# The folder that holds fetched drivers, one subfolder each.
driver_cache() {
    if [ -n "${RINGFENCE_CACHE:-}" ]; then
        printf '%s/drivers\n' "$RINGFENCE_CACHE"
    elif [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ]; then
        printf '%s/ringfence/drivers\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
    else
        printf '%s/.cache/drivers\n' "$repo"
    fi
}

# One field of os-release, in a subshell of its own: the file sets many variables.
os_field() { (. /etc/os-release 2>/dev/null && eval "printf '%s' \"\${$1:-}\""); }

is_debian_like() {
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

# The driver matrix is defined by packages of this one release.
is_matrix_host() {
    is_debian_like && [ "$(os_field ID)" = debian ] && [ "$(os_field VERSION_ID)" = 12 ]
}

# The manifest of the distribution's lavapipe, if it is installed.
system_lavapipe() {
    local file
    for file in /usr/share/vulkan/icd.d/lvp_icd*.json /etc/vulkan/icd.d/lvp_icd*.json; do
        case $file in
        *i686* | *'*'*) ;;
        *) printf '%s\n' "$file"; return 0 ;;
        esac
    done
    return 1
}

# Run a command with root's rights.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "must run as root, and there is no sudo: $*"
    fi
}
