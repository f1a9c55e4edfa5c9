#!/bin/sh
# Installs dca-daemon on a server with systemd, upgrades it, or takes it away again.
#
#   sudo deploy/install.sh              from a clone: builds the wheel, then installs it
#   sudo deploy/install.sh FILE.whl     installs this wheel
#   sudo deploy/install.sh --back       goes back to the release from before the last upgrade
#   sudo deploy/install.sh --uninstall  removes program and units; configuration, keys and database stay
#
# Each release has a virtual environment of its own in /opt/dca-daemon/releases, with the versions of everything by
# hash, as the lock in the wheel has them. /opt/dca-daemon/current points at the one in use. Safe to repeat.
set -eu

OPT=/opt/dca-daemon
LINK=/usr/local/bin/dca-daemon
UNITS=/etc/systemd/system
CONFIG=/etc/dca-daemon/config.toml
PYTHON=${PYTHON:-/usr/bin/python3}

say() { printf '%s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

has_systemd() { [ -d /run/systemd/system ]; }
in_use() { readlink "$OPT/current" 2>/dev/null || true; }
before() { readlink "$OPT/previous" 2>/dev/null || true; }

# Names are changed by renaming: there is no moment without a program.
point() {
    ln -sfn "$2" "$1.new"
    mv -T "$1.new" "$1"
}

needs_root() { [ "$(id -u)" = 0 ] || fail "this needs root: sudo $0 ${*:-}"; }

needs_python() {
    command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON: apt-get install python3 python3-venv"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is older than 3.11: name another one with PYTHON=… $0"
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || fail "$PYTHON lacks venv: apt-get install python3-venv"
}

# A wheel of the clone that this script is in.
build() {
    clone=$(cd "$(dirname "$0")/.." && pwd)
    [ -f "$clone/pyproject.toml" ] || fail "name a wheel: $0 dca_daemon-….whl"
    say "Building the wheel of $clone …"
    "$PYTHON" -m venv "$work/build"
    # A copy: nothing of root's is left in somebody's clone.
    mkdir "$work/clone"
    for part in pyproject.toml README.md config.example.toml alembic.ini alembic src deploy; do
        cp -R "$clone/$part" "$work/clone/"
    done
    "$work/build/bin/python" -m pip --quiet --disable-pip-version-check wheel --no-deps --wheel-dir "$work" \
        "$work/clone"
    wheel=$(echo "$work"/dca_daemon-*.whl)
}

unpack() {
    "$PYTHON" -m zipfile -e "$wheel" "$work/wheel" 2>/dev/null || fail "$wheel is not a wheel"
    [ -f "$work/wheel/dca_daemon/requirements.lock" ] || fail "$wheel is not a wheel of dca-daemon"
    version=$(sed -n 's/^Version: //p' "$work"/wheel/dca_daemon-*.dist-info/METADATA)
}

pip_install() {
    "$release/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps --only-binary :all: "$@"
}

make_release() {
    release=$OPT/releases/$version-$(date -u +%Y%m%d%H%M%S)
    umask 022
    mkdir -p "$OPT/releases"
    "$PYTHON" -m venv "$release"
    say "Installing dca-daemon $version into $release …"
    # What is downloaded is what the tests ran with: pip compares each file's hash.
    if ! { pip_install --require-hashes -r "$work/wheel/dca_daemon/requirements.lock" &&
        pip_install "$wheel" && "$release/bin/dca-daemon" version >/dev/null; }; then
        rm -rf "$release"
        fail "dca-daemon $version could not be installed; nothing was changed"
    fi
    "$release/bin/python" -m compileall -q "$release/lib" || true # the service itself may write nowhere
}

# Before the switch: the old program works beside the new schema, but not the new one beside the old schema.
upgrade_database() {
    [ -f "$CONFIG" ] || return 0
    "$release/bin/dca-daemon" --config "$CONFIG" db upgrade || {
        rm -rf "$release"
        fail "the database was not upgraded, so the release in use stays as it is"
    }
}

switch() {
    [ -z "$(in_use)" ] || point "$OPT/previous" "$(in_use)"
    point "$OPT/current" "$release"
    mkdir -p "$(dirname "$LINK")"
    point "$LINK" "$OPT/current/bin/dca-daemon"
}

place_units() {
    mkdir -p "$UNITS"
    for unit in "$1"/dca-*; do
        there=$UNITS/$(basename "$unit")
        if [ -f "$there" ] && ! cmp -s "$unit" "$there"; then
            cp -p "$there" "$there.before" # changes belong into `systemctl edit`; these are not lost either
        fi
        install -m 644 "$unit" "$there"
    done
    if has_systemd; then systemctl daemon-reload; fi
}

restart() {
    has_systemd || return 0
    for unit in dca-daemon.service dca-console.service; do
        systemctl try-restart "$unit" || say "$unit did not start again: journalctl -u $unit"
    done
}

# The release in use, the one before it, and no others.
sweep() {
    for old in "$OPT"/releases/*; do
        [ "$old" = "$(in_use)" ] || [ "$old" = "$(before)" ] || rm -rf "$old"
    done
}

install_release() {
    needs_root "$@"
    needs_python
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if [ $# = 0 ]; then build; else wheel=$1; fi
    [ -f "$wheel" ] || fail "there is no $wheel"
    unpack
    make_release
    upgrade_database
    switch
    place_units "$work/wheel/dca_daemon/systemd"
    restart
    sweep
    say "dca-daemon $version is installed."
    if [ -f "$CONFIG" ]; then
        say "Next: sudo dca-daemon doctor; to go back: $0 --back"
    else
        say "Next: sudo dca-daemon init"
    fi
}

go_back() {
    needs_root --back
    [ -x "$(before)/bin/dca-daemon" ] || fail "there is no release to go back to"
    release=$(before)
    if [ -f "$CONFIG" ] && ! "$release/bin/dca-daemon" --config "$CONFIG" db check; then
        fail "the release from before can't work with the database as it is now; nothing was changed"
    fi
    switch
    place_units "$(echo "$release"/lib/python3*/site-packages/dca_daemon/systemd)"
    restart
    say "Back at $("$LINK" version). The database stays as it is."
}

uninstall() {
    needs_root --uninstall
    for there in "$UNITS"/dca-daemon.* "$UNITS"/dca-console.* "$UNITS"/dca-backup.*; do
        [ -f "$there" ] || continue
        if has_systemd; then systemctl --quiet disable --now "$(basename "$there")" 2>/dev/null || true; fi
        rm -f "$there"
    done
    if has_systemd; then systemctl daemon-reload; fi
    rm -f "$LINK"
    rm -rf "$OPT"
    say "dca-daemon is gone. Its configuration and keys (/etc/dca-daemon) and its database are still there."
}

case ${1:-} in
--help | -h) usage ;;
--back) go_back ;;
--uninstall) uninstall ;;
-*)
    usage >&2
    exit 2
    ;;
*)
    [ $# -le 1 ] || { usage >&2; exit 2; }
    install_release "$@"
    ;;
esac
