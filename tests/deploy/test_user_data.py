"""The user data of an EC2 instance, on a machine that was told nothing else; a stand-in answers for the metadata."""

from collections.abc import Iterator

import pytest

from demo.processes import DidNotHappen, wait_for
from tests.deploy.conftest import KEY, Fleet
from tests.deploy.machine import Machine

pytestmark = [pytest.mark.long, pytest.mark.timeout(400), pytest.mark.xdist_group("machines")]

# As much of the instance metadata service, version 2, as the script may ask: a PUT for the token, and never without.
METADATA = """
import http.server
ANSWERS = {"/latest/meta-data/public-ipv4": "203.0.113.7", "/latest/meta-data/placement/region": "eu-central-1"}
class Answer(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self.say("secret" if self.path == "/latest/api/token" else None)
    def do_GET(self):
        token = self.headers.get("X-aws-ec2-metadata-token")
        self.say(ANSWERS.get(self.path) if token == "secret" else None)
    def say(self, text):
        self.send_response(200 if text else 401)
        self.end_headers()
        self.wfile.write((text or "").encode())
http.server.HTTPServer(("169.254.169.254", 80), Answer).serve_forever()
"""
AWS = """#!/bin/sh
[ "$*" = "ssm get-parameter --region eu-central-1 --name /p2p/network-key --with-decryption \
--query Parameter.Value --output text" ] && echo {key}
"""


@pytest.fixture
def fresh(fleet: Fleet) -> Iterator[Machine]:
    """A machine with none of our settings, services and state: the third, which gets its own back afterwards."""
    machine, unit = fleet[2], fleet.unit(2)
    machine.sh(f"systemctl disable --now {unit}; mv /etc/p2p /etc/p2p.kept; gpasswd --delete alice p2p")
    (machine.outside / "metadata.py").write_text(METADATA)
    (machine.outside / "aws").write_text(AWS.format(key=KEY))
    machine.sh("install /lab/aws /usr/local/bin/aws; ip address add 169.254.169.254/32 dev lo")
    machine.run("systemd-run", "--unit=metadata", "python3", "/lab/metadata.py")
    wait_for("the metadata answer", lambda: ":80" in machine.run("ss", "-Htln", "sport", "=", ":80"))
    yield machine
    machine.sh(
        "systemctl stop metadata; systemctl disable --now pserver@peer1; ip address delete 169.254.169.254/32 dev lo"
    )
    machine.sh("rm -rf /etc/p2p /var/lib/private/pserver/peer1 /usr/local/bin/aws; mv /etc/p2p.kept /etc/p2p")
    machine.sh("usermod -aG p2p alice")
    machine.start(unit, enable=True)
    fleet.all_see_all()


def test_a_fresh_instance_becomes_a_peer(fleet: Fleet, fresh: Machine) -> None:
    given = f"SOURCE=/lab/checkout LOCATORS={fleet[0].address}:51015 PEOPLE=alice PEER_NAME=fresh"
    fresh.sh(f"{given} ADVERTISE=public bash /lab/checkout/systemd/user-data.sh")
    assert "PSERVER_ADVERTISE_URL=http://203.0.113.7:8001\n" in fresh.run("cat", "/etc/p2p/peer1.env")
    assert fresh.run("stat", "--format=%a %U", "/etc/p2p/network.key").split() == ["600", "root"]
    assert fresh.run("cat", "/etc/p2p/network.key").strip() == KEY
    # Once more, as a person would after a mistake: what it wrote is replaced, and the peer runs with it.
    fresh.sh(f"{given} bash /lab/checkout/systemd/user-data.sh; systemctl restart pserver@peer1")
    assert "ADVERTISE" not in fresh.run("cat", "/etc/p2p/peer1.env")
    wait_for("the others see it", lambda: "fresh" in fleet[0].person("peers"), 60)
    assert "fresh" in fresh.person("status")
    assert fresh.run("systemctl", "is-enabled", "pserver@peer1").strip() == "enabled"


def test_a_key_from_elsewhere_is_refused_with_a_word(fresh: Machine) -> None:
    with pytest.raises(DidNotHappen, match="NETWORK_KEY should be"):
        fresh.sh("SOURCE=/lab/checkout NETWORK_KEY=0123456789abcdef bash /lab/checkout/systemd/user-data.sh")
    assert fresh.sh("ls /etc/p2p/network.key 2>&1 || true").endswith("No such file or directory\n")
    fresh.sh(
        f"printf %s {KEY} > /etc/p2p/given; SOURCE=/lab/checkout NETWORK_KEY=file:/etc/p2p/given "
        "bash /lab/checkout/systemd/user-data.sh"
    )
    assert fresh.run("cat", "/etc/p2p/network.key") == KEY
