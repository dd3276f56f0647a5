"""Reads what comes out of a relay: a group's line becomes a target again."""

import msgspec

from kuma_sd import UNREADABLE, Key, Labels, SourceError, Target, problem_shown


class _Group(msgspec.Struct):
    targets: list[str]
    labels: Labels


_DECODER = msgspec.json.Decoder(_Group)


class GroupCodec:
    """Reads lines of JSON as outputs get them."""

    name = "redis-group"

    def read(self, key: Key, data: bytes) -> Target:
        """Read one target. All that is known of it are its labels: facts would change them once more.

        Raises:
            SourceError: it is no such line.
        """
        del key
        try:
            group = _DECODER.decode(data)
            labels = group.labels | {"__address__": group.targets[0]}
        except (*UNREADABLE, IndexError) as error:
            raise SourceError(f"not a target group: {problem_shown(error)}") from error
        return Target("", "", "", "", "", "", "", labels)


GROUP = GroupCodec()
