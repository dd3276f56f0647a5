"""Everything declarative stands in setup.cfg; this file only adds the step that compiles proto/."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithProtos(build_py):
    """Compile proto/ to kuma_sd/proto/*_pb2.py and their type stubs."""

    def run(self) -> None:
        # After the copy, so that files left over by an editable install never win over fresh ones.
        super().run()
        target = ROOT if self.editable_mode else Path(self.build_lib)
        compile_protos(target)


def compile_protos(target: Path) -> None:
    """Run protoc over proto/ into the tree at target."""
    # Known only while building: grpcio-tools is a build requirement, not a dependency.
    from grpc_tools import protoc  # noqa: PLC0415

    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "proto").rglob("*.proto"))
    builtin = Path(protoc.__file__).parent / "_proto"
    arguments = [
        f"--proto_path={ROOT / 'proto'}",
        f"--proto_path={builtin}",
        f"--python_out={target}",
        f"--pyi_out={target}",
    ]
    names = [str(Path(source).relative_to("proto")) for source in sources]
    if protoc.main(["protoc", *arguments, *names]) != 0:
        message = "protoc failed"
        raise SystemExit(message)


setup(cmdclass={"build_py": BuildWithProtos})
