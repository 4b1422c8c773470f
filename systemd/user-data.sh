#!/bin/bash
# User data for a fresh Debian 12+ or Ubuntu 24.04+ instance: makes it a peer, and with LOCATOR=yes the locator too.
# Paste it into the instance's "user data" with the first lines filled in; cloud-init runs it once, as root. What it
# said is in /var/log/cloud-init-output.log. It may be run again by hand.
set -euo pipefail

: "${SOURCE:=https://example.org/p2p-file-sharing-suite.tar.gz}" # this project: a .tar.gz, a git URL, or a folder
: "${LOCATORS:=locator.internal.example.org:51015}"              # as PSERVER_LOCATORS
: "${NETWORK_KEY:=ssm:/p2p/network-key}"                         # ssm:PARAMETER, file:PATH; never the key itself
: "${ADVERTISE:=private}"                                        # private, public, or http://NAME:8001
: "${PEER:=peer1}"                                               # the service is pserver@PEER
: "${PEER_NAME:=$(hostname)}"                                    # how people call it
: "${PEOPLE:=}"                                                  # users of this machine who may command it: "admin alice"
: "${LOCATOR:=no}"

METADATA=http://169.254.169.254/latest

# IMDSv2: a token first, then the question. Only this script asks; the peer refuses to connect to that address at all.
metadata() {
    local token
    token=$(curl -fsS --max-time 5 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$METADATA/api/token")
    curl -fsS --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$METADATA/meta-data/$1"
}

install_packages() {
    local missing=() tool
    for tool in curl make git; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    [ "${#missing[@]}" = 0 ] && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates "${missing[@]}"
}

fetch_source() { # into the folder $1
    case $SOURCE in
    *.tar.gz) curl -fsSL "$SOURCE" | tar xz --strip-components=1 -C "$1" ;;
    /*) cp -r "$SOURCE/." "$1" ;;
    *) git clone --quiet --depth 1 "$SOURCE" "$1" ;;
    esac
}

write_key() {
    [ ! -s /etc/p2p/network.key ] || return 0
    case $NETWORK_KEY in file:* | ssm:*) ;; *) echo "NETWORK_KEY should be ssm:PARAMETER or file:PATH" >&2 && exit 1 ;; esac
    umask 077
    case $NETWORK_KEY in
    file:*) cat "${NETWORK_KEY#file:}" ;;
    ssm:*)
        command -v aws >/dev/null || apt-get install -y -qq awscli >&2 || snap install aws-cli --classic >&2
        aws ssm get-parameter --region "$(metadata placement/region)" --name "${NETWORK_KEY#ssm:}" --with-decryption \
            --query Parameter.Value --output text
        ;;
    esac >/etc/p2p/network.key.new
    mv /etc/p2p/network.key.new /etc/p2p/network.key
    umask 022
}

advertised() {
    case $ADVERTISE in
    private) ;; # found at each start: the address from which this machine reaches the locator
    public) echo "PSERVER_ADVERTISE_URL=http://$(metadata public-ipv4):8001" ;;
    *) echo "PSERVER_ADVERTISE_URL=$ADVERTISE" ;;
    esac
}

write_settings() {
    [ "$LOCATOR" != yes ] || echo "LOCATOR_LISTEN=0.0.0.0:51015" >/etc/p2p/central-server.env
    {
        echo "PSERVER_NAME=$PEER_NAME"
        echo "PSERVER_LISTEN=0.0.0.0:8001"
        echo "PSERVER_LOCATORS=$LOCATORS"
        advertised
    } >"/etc/p2p/$PEER.env.new"
    mv "/etc/p2p/$PEER.env.new" "/etc/p2p/$PEER.env"
}

main() {
    local source person
    install_packages
    source=$(mktemp -d)
    fetch_source "$source"
    make --no-print-directory -C "$source" install
    rm -rf "$source"
    write_key
    write_settings
    for person in $PEOPLE; do usermod -aG p2p "$person"; done
    [ "$LOCATOR" != yes ] || systemctl enable --now central-server
    systemctl enable --now "pserver@$PEER"
}

main
