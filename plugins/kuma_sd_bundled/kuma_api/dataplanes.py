"""Convert the dataplanes of one control plane; those whose bytes did not change are not converted again."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from kuma_sd import UNREADABLE, problem_shown, refuse_many_json_values
from kuma_sd_bundled.kuma_api.api_codec import DataplaneFacts, encode
from kuma_sd_bundled.kuma_api.documents import DataplaneDocument, ItemIdentity, MeshBackend, ResourceKey, Tags
from kuma_sd_bundled.kuma_api.labels import DataplaneDescription, describe

_IDENTITY = msgspec.json.Decoder(ItemIdentity)
_DATAPLANE = msgspec.json.Decoder(DataplaneDocument)

_DIGEST_SIZE = 16


class KnownDataplane(msgspec.Struct, gc=False):
    """A dataplane as kept between two polls.

    Args:
        key: its mesh, and its name in the API.
        data: the bytes of its assignment; shared with the assignment to save memory.
        zone: its zone; empty if not known.
        remote: whether it belongs to a zone of a global control plane.
        metrics: its own metrics settings (Kuma 2).
        gateway_tags: the tags of a built-in gateway; None for any other dataplane.
    """

    key: ResourceKey
    data: bytes
    zone: str
    remote: bool
    metrics: MeshBackend | None
    gateway_tags: Tags | None = None


@dataclass(frozen=True)
class ReadingRules:
    """The settings for reading dataplanes.

    Args:
        service_labels: the labels that name the job of a dataplane without a service.
        third: whether the dataplanes are those of Kuma 3; None if not known.
    """

    service_labels: Sequence[str]
    third: bool | None


class DataplaneReader:
    """Decodes items of lists of dataplanes, and caches those of the last round.

    Args:
        service_labels: the labels that name the job of a dataplane without a service.
    """

    def __init__(self, service_labels: Sequence[str]) -> None:
        self._rules = ReadingRules(tuple(service_labels), third=None)
        self._known: dict[bytes, KnownDataplane] = {}
        self._round: dict[bytes, KnownDataplane] = {}
        self.converted = 0

    def begin(self, *, third: bool | None) -> None:
        """Begin a round; the results of the last round are reused.

        Args:
            third: whether the dataplanes are those of Kuma 3; None if not known.
        """
        rules = ReadingRules(self._rules.service_labels, third)
        if rules != self._rules:
            self._rules = rules
            self._known = {}
            self._round = {}
        self._known |= self._round
        self._round = {}

    def end(self) -> None:
        """Forget the dataplanes that were not in this round."""
        self._known = self._round
        self._round = {}

    def __call__(self, raw: msgspec.Raw | bytes) -> tuple[ResourceKey, KnownDataplane]:
        """Decode one dataplane.

        Raises:
            msgspec.MsgspecError: not even its name can be read.
        """
        digest = blake2b(raw, digest_size=_DIGEST_SIZE).digest()
        # Pages overlap, so a new one may stand in two of them.
        known = self._known.get(digest) or self._round.get(digest)
        if known is None:
            self.converted += 1
            known = self._read(raw)
        self._round[digest] = known
        return known.key, known

    def _read(self, raw: msgspec.Raw | bytes) -> KnownDataplane:
        try:
            refuse_many_json_values(raw)
            dataplane = _DATAPLANE.decode(raw)
        except UNREADABLE as error:
            # If the name can be read, the target is known to exist.
            identity = _IDENTITY.decode(raw)
            facts = DataplaneFacts(name=identity.name, problem=problem_shown(error))
            return KnownDataplane(identity.key, encode(facts), "", remote=False, metrics=None)
        described = describe(dataplane, self._rules.service_labels, third=self._rules.third)
        return KnownDataplane(
            ResourceKey(dataplane.mesh, dataplane.name),
            encode(_facts(dataplane, described)),
            described.zone,
            remote=described.name != dataplane.name,
            metrics=dataplane.metrics,
            gateway_tags=_gateway_tags(dataplane),
        )


def _gateway_tags(dataplane: DataplaneDocument) -> Tags | None:
    gateway = dataplane.networking.gateway
    return gateway.tags or {} if gateway and gateway.type == "BUILTIN" else None


def _facts(dataplane: DataplaneDocument, described: DataplaneDescription) -> DataplaneFacts:
    networking = dataplane.networking
    return DataplaneFacts(
        name=described.name,
        host=networking.advertised_address or networking.address,
        service=described.service,
        job=described.job if described.job != described.service else "",
        labels=described.labels,
    )
