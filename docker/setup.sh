#!/bin/sh
# Makes what the containers need and no repository may hold, in docker/secrets: the network key, and with `tls` a CA and
# the certificates of the locator and of peer1's proxy (that takes the image p2p-central-server). What is there stays.
#     docker/setup.sh [tls]
# The user in the containers is another one than you and must read these files, so they are readable by all; the folder
# is yours alone, which keeps the other users of this machine out.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets

if [ ! -s secrets/network.key ]; then
    head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' >secrets/network.key
    chmod 644 secrets/network.key
    echo "docker/secrets/network.key is new"
fi

certificate_of() {
    [ -e "secrets/tls/$1.key" ] || docker run --rm --network none --user "$(id -u):$(id -g)" \
        --volume "$PWD/secrets:/secrets" p2p-central-server certs /secrets/tls --host "$1" >/dev/null
    chmod 644 "secrets/tls/$1.key" "secrets/tls/$1.pem" secrets/tls/ca.pem
}

if [ "${1:-}" = tls ]; then
    certificate_of locator
    certificate_of peer1
    echo "docker/secrets/tls has certificates for locator and peer1, of the CA there"
fi
