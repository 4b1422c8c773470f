"""The messages and rpcs of an older release, made of its own locator.proto in a pool of their own.

A pool of their own, because the two releases use the same names for different descriptors.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor

SERVICE = "p2p.locator.v1.Locator"
BEFORE_ACCOUNTS = Path(__file__).with_name("locator_before_accounts.proto")


class OldWire:
    """What `proto` says. Any: its classes are made while this runs."""

    def __init__(self, proto: Path) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        self._file = _described(proto)
        self._pool.AddSerializedFile(self._file.SerializeToString())

    def message(self, name: str) -> Any:
        """The class of a message."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"p2p.locator.v1.{name}"))

    def messages(self) -> list[Descriptor]:
        """All of them."""
        return [self._pool.FindMessageTypeByName(f"p2p.locator.v1.{each.name}") for each in self._file.message_type]

    def methods(self) -> list[MethodDescriptor]:
        """The rpcs of the Locator, the only service there was."""
        return list(self._pool.FindServiceByName(SERVICE).methods)

    def stub(self, channel: grpc.Channel, name: str) -> Any:
        """An rpc as the old client calls it."""
        method = self._method(name)
        request, reply = self.message(method.input_type.name), self.message(method.output_type.name)
        return channel.unary_unary(f"/{SERVICE}/{name}", request.SerializeToString, reply.FromString)

    def handlers(self, answers: Mapping[str, Callable[[Any], Any]]) -> Any:
        """The old server's Locator, each rpc answered by a function of the request; others are not implemented."""
        return grpc.method_handlers_generic_handler(
            SERVICE, {name: self._handler(name, answers[name]) for name in answers}
        )

    def _handler(self, name: str, answer: Callable[[Any], Any]) -> Any:
        method = self._method(name)
        request, reply = self.message(method.input_type.name), self.message(method.output_type.name)
        return grpc.unary_unary_rpc_method_handler(
            lambda asked, _context: answer(asked), request.FromString, reply.SerializeToString
        )

    def _method(self, name: str) -> MethodDescriptor:
        return next(method for method in self.methods() if method.name == name)


def _described(proto: Path) -> descriptor_pb2.FileDescriptorProto:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto.parent}", f"--descriptor_set_out={out}"]
        subprocess.run([*command, proto.name], check=True, timeout=60)
        [found] = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    return found
