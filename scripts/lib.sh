# Functions that the scripts share. To be sourced, with `set -euo pipefail` on.
# shellcheck shell=bash

# Runs a command as root: directly, or with sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        echo "error: \`$*\` must be run as root, and there is no sudo" >&2
        return 1
    fi
}

# Installs a Debian package; refreshes the package lists only when the first try fails.
install_package() {
    echo "installing the package $1" >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2 || {
        as_root apt-get update -qq >&2
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2
    }
}

# need COMMAND PACKAGE: installs the package when the command is missing.
need() {
    command -v "$1" > /dev/null || install_package "$2"
}

# need_python_packages NAME…: puts packages of PyPI into target/venv. Fails when pip cannot get them.
need_python_packages() {
    local venv=target/venv
    "$venv/bin/python" -c "import $(IFS=,; echo "$*")" 2> /dev/null && return
    { python3 -m venv "$venv" || { install_package python3-venv && python3 -m venv "$venv"; }; } > /dev/null 2>&1 &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
}

# Finds rustup's cargo when the shell does not know it yet.
need_cargo() {
    if ! command -v cargo > /dev/null && [ -f "${CARGO_HOME:-$HOME/.cargo}/env" ]; then
        . "${CARGO_HOME:-$HOME/.cargo}/env"
    fi
    command -v cargo > /dev/null || {
        echo "error: there is no cargo; install rustup from https://rustup.rs" >&2
        return 1
    }
}
