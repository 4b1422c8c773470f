#!/usr/bin/env bash
# Installs, upgrades, rolls back and removes the suite:  install.sh install | rollback | uninstall
#   PREFIX  (/opt/p2p-file-sharing)  its folder: releases/ID each a virtual environment, current and previous name two
#   DESTDIR (none)                   a root to install into, for packages and images: nothing of this machine is touched
#   PYTHON  (/usr/bin/python3)       3.11 or newer, and where a service may see it: not in a home folder
#   PURGE=1                          uninstall removes shares, keys, settings and accounts too
# Running services are not restarted: they go on with the release that they were started from, which stays in place.
set -euo pipefail
cd "$(dirname "$0")/.."

PREFIX=${PREFIX:-/opt/p2p-file-sharing} DESTDIR=${DESTDIR:-} PYTHON=${PYTHON:-/usr/bin/python3}
ROOT=$DESTDIR$PREFIX
UNITS=$DESTDIR/usr/local/lib/systemd/system
SYSUSERS=$DESTDIR/usr/local/lib/sysusers.d
COMMANDS=$DESTDIR/usr/local/bin
ETC=$DESTDIR/etc/p2p
PROGRAMS="central-server pserver pclient"

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }

check() {
    case $PREFIX in
    /home/* | /root/*) fail "PREFIX=$PREFIX is in a home folder, which the services cannot see" ;;
    /*/*) ;;
    *) fail "PREFIX=$PREFIX should be an absolute path like /opt/p2p-file-sharing" ;;
    esac
    case $PREFIX in *[!A-Za-z0-9/._-]*) fail "PREFIX=$PREFIX should have only letters, digits, . _ - and /" ;; esac
    [ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "this needs root: sudo make $1"
}

check_python() {
    local real
    "$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "PYTHON=$PYTHON should be Python 3.11 or newer with venv (on Debian and Ubuntu: apt install python3-venv)"
    real=$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.executable))')
    case $real in
    /home/* | /root/*) fail "PYTHON=$PYTHON is $real, in a home folder, which the services cannot see" ;;
    esac
}

# The same sources and the same Python make the same release.
release_id() {
    local digest
    digest=$({ "$PYTHON" -VV; find central_server pserver pclient protos systemd pyproject.toml requirements.txt \
        -type f -not -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum | cut -c 1-12)
    echo "$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)-$digest"
}

build() { # into $ROOT/releases/$1, which has its stamp only when it is whole
    local into=$ROOT/releases/$1 final=$PREFIX/releases/$1 sources
    [ -e "$into/.whole" ] && return
    say "building release $1"
    rm -rf "$into"
    "$PYTHON" -m venv "$into"
    "$into/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes \
        -r requirements.txt
    sources=$(mktemp -d) # a build leaves files beside its sources
    cp -r pyproject.toml README.md LICENSE central_server pserver pclient protos "$sources"
    "$into/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps "$sources"
    rm -rf "$sources"
    "$into/bin/python" -m pip check --disable-pip-version-check >/dev/null
    (cd / && "$into/bin/python" -c 'import central_server.__main__, pserver.__main__, pclient.__main__') # or it ends here
    "$into/bin/python" -m pip uninstall --quiet --yes pip 2>/dev/null
    install -D -m 755 -t "$into/libexec" systemd/restart-pause systemd/new-machine
    if [ -n "$DESTDIR" ]; then # scripts name their interpreter, and it will be elsewhere
        grep -rlIF "$into" "$into/bin" "$into/pyvenv.cfg" | xargs -r sed -i "s|$into|$final|g"
    fi
    chmod -R go+rX,go-w "$into"
    touch "$into/.whole"
}

# One rename: who starts a program sees the old release or the new one, never half of one.
point() { # $1 (current or previous) to release $2
    ln -sfn "releases/$2" "$ROOT/.$1.new"
    mv -T "$ROOT/.$1.new" "$ROOT/$1"
}

release_of() { [ ! -L "$ROOT/$1" ] || basename "$(readlink "$ROOT/$1")"; }

switch() {
    local now
    now=$(release_of current)
    [ "$now" = "$1" ] && return
    [ -z "$now" ] || point previous "$now"
    point current "$1"
    say "current is $1${now:+, previous is $now}"
}

# All releases but the two, and those that a process still runs from.
drop_old() {
    local one name running
    running=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n')
    for one in "$ROOT"/releases/*/; do
        name=$(basename "$one")
        [ "$name" = "$(release_of current)" ] || [ "$name" = "$(release_of previous)" ] && continue
        grep -qF "$PREFIX/releases/$name/" <<<"$running" && continue
        rm -rf "$one"
        say "removed the old release $name"
    done
}

place_files() {
    local unit program
    for unit in systemd/*.service; do
        install -D -m 644 "$unit" "$UNITS/$(basename "$unit")"
        sed -i "s|/opt/p2p-file-sharing|$PREFIX|g" "$UNITS/$(basename "$unit")"
    done
    install -D -m 644 systemd/p2p.conf "$SYSUSERS/p2p.conf"
    install -d -m 755 "$ETC" "$COMMANDS"
    install -m 644 systemd/*.env.example "$ETC"
    for program in $PROGRAMS; do ln -sfn "$PREFIX/current/bin/$program" "$COMMANDS/$program"; done
}

tell_systemd() { # of the new units and the group, if this is a machine that runs, and runs systemd
    [ -z "$DESTDIR" ] || return 0
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers "$SYSUSERS/p2p.conf"
    else
        getent group p2p >/dev/null || groupadd --system p2p
    fi
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

ours() { # the units of ours that run
    [ -n "$DESTDIR" ] || [ ! -d /run/systemd/system ] ||
        systemctl list-units --plain --no-legend --state=active,activating 'central-server.service' 'pserver@*.service' |
        awk '{print $1}'
}

tell_what_runs() {
    local running
    running=$(ours | xargs)
    [ -z "$running" ] || say "still running what they were started from; when it suits:  systemctl restart $running"
}

do_install() {
    local id
    check_python
    id=$(release_id)
    build "$id"
    place_files
    switch "$id"
    drop_old
    tell_systemd
    tell_what_runs
    say "done: $PREFIX/current is release $id"
}

do_rollback() {
    local back
    back=$(release_of previous)
    [ -n "$back" ] && [ -e "$ROOT/releases/$back/.whole" ] || fail "there is no previous release in $ROOT"
    switch "$back"
    tell_what_runs
}

do_uninstall() {
    local unit
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        for unit in $(systemctl list-units --all --plain --no-legend 'central-server.service' 'pserver@*.service' |
            awk '{print $1}') $(ls /etc/systemd/system/multi-user.target.wants 2>/dev/null |
                grep -E '^(central-server|pserver@.*)\.service$'); do
            systemctl disable --quiet --now "$unit" || true
        done
    fi
    for program in $PROGRAMS; do
        [ "$(readlink "$COMMANDS/$program")" != "$PREFIX/current/bin/$program" ] || rm "$COMMANDS/$program"
    done
    rm -f "$UNITS/central-server.service" "$UNITS/pserver@.service" "$SYSUSERS/p2p.conf" "$ETC"/*.env.example
    rm -rf "$ROOT/releases" "$ROOT/current" "$ROOT/previous"
    [ ! -d "$ROOT" ] || rmdir --ignore-fail-on-non-empty "$ROOT"
    if [ "${PURGE:-0}" = 1 ]; then
        rm -rf "$ETC" "$DESTDIR"/var/lib/{private/,}{pserver,central-server}
        [ -n "$DESTDIR" ] || ! getent group p2p >/dev/null || groupdel p2p
        say "removed, with all shares, keys and settings"
    else
        say "removed; /etc/p2p, /var/lib/pserver and /var/lib/central-server are kept (PURGE=1 removes them too)"
    fi
    [ -n "$DESTDIR" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

case ${1:-} in
install | rollback | uninstall) check "$1" && "do_$1" ;;
*) fail "install.sh install | rollback | uninstall" ;;
esac
