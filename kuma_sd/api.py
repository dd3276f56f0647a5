"""The public API: a table from each name to the module that has it. Plugins import the names from `kuma_sd`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The same names once more, for type checkers, which do not run the table; a test compares the two.
    from kuma_sd._version import __version__
    from kuma_sd.core.bounded_cache import remember_short
    from kuma_sd.core.decoding_errors import UNREADABLE
    from kuma_sd.core.errors import ConfigError, KumaSDError, OutputError, PluginError, SourceError, TransformError
    from kuma_sd.core.incremental_cache import IncrementalCache
    from kuma_sd.core.logger import Logger
    from kuma_sd.core.mailbox import Mailbox
    from kuma_sd.core.model import Assignment, Codec, Key, Labels, Snapshot, Target
    from kuma_sd.core.option_types import (
        BOOL,
        DURATION,
        DURATION_OR_FOREVER,
        FILE_CONTENT,
        NUMBER,
        PATH,
        PERCENTAGE,
        SECRET,
        SECRET_FILE,
        SIZE,
        TEXT,
        URL,
        FileContent,
        choice,
        lines_of,
        list_of,
    )
    from kuma_sd.core.options import REQUIRED, NoOptions, OptionType, option
    from kuma_sd.core.publication import Publication
    from kuma_sd.core.publication_change import Change
    from kuma_sd.core.regular_file import open_regular, read_regular
    from kuma_sd.core.response_descriptions import body_shown, certificate_shown, problem_shown
    from kuma_sd.core.secret import Secret
    from kuma_sd.core.source_status import SourceStatus
    from kuma_sd.core.target_group import GroupKey, TargetGroup
    from kuma_sd.core.url import Url, parse_url
    from kuma_sd.core.value_limits import refuse_many_json_values
    from kuma_sd.core.yaml_nesting import refuse_deep_nesting
    from kuma_sd.http.address import Address, Endpoint, address_of, parse_address
    from kuma_sd.http.client import HttpClient, HttpResponse
    from kuma_sd.http.options import ClientOptions, TlsOptions
    from kuma_sd.http.refused_statuses import refused
    from kuma_sd.http.tls_and_credentials import Access
    from kuma_sd.plugin.context import Context
    from kuma_sd.plugin.hookspecs import hookimpl
    from kuma_sd.plugin.interfaces import (
        CommandPlugin,
        Output,
        OutputPlugin,
        Source,
        SourcePlugin,
        Transform,
        TransformPlugin,
    )
    from kuma_sd.plugin.optional_interfaces import (
        ExplainsGroups,
        ExplainsLabels,
        ForeseesFailures,
        GivesRemarks,
        GivesWarnings,
        ReadByPrometheus,
        ReadsLabels,
        WritesFiles,
    )
    from kuma_sd.prometheus.label_names import LABEL, LABEL_NAME
    from kuma_sd.prometheus.matchers import (
        MATCHERS,
        PATTERN_CACHE_SIZE,
        Matcher,
        Matchers,
        Pattern,
        parse_matchers,
        parse_pattern,
    )
    from kuma_sd.prometheus.sd_formats import Chunks, json_chunks, lines_in, yaml_chunks
    from kuma_sd.prometheus.sharding import MOST_SHARDS, SHARD, SHARDING_METHODS, Shard, Sharding, consistent, hashmod
    from kuma_sd.state.offline_reader import read_snapshot
    from kuma_sd.system.durable_file import FileClaim, check_claim, file_holds, remove_leftovers, replace_file
    from kuma_sd.system.file_group import check_group
    from kuma_sd.system.file_watcher import FileWatcher
    from kuma_sd.system.output_path import check_output_path
    from kuma_sd.system.staging import STAGING
    from kuma_sd.system.threads import HelperThread
    from kuma_sd.system.trusted_files import is_trusted, open_trusted
    from kuma_sd.telemetry.metric import Meters, Metric

NAMES_OF_MODULES = {
    "kuma_sd._version": ("__version__",),
    "kuma_sd.core.bounded_cache": ("remember_short",),
    "kuma_sd.core.decoding_errors": ("UNREADABLE",),
    "kuma_sd.core.errors": (
        "ConfigError",
        "KumaSDError",
        "OutputError",
        "PluginError",
        "SourceError",
        "TransformError",
    ),
    "kuma_sd.core.incremental_cache": ("IncrementalCache",),
    "kuma_sd.core.logger": ("Logger",),
    "kuma_sd.core.mailbox": ("Mailbox",),
    "kuma_sd.core.model": ("Assignment", "Codec", "Key", "Labels", "Snapshot", "Target"),
    "kuma_sd.core.option_types": (
        "BOOL",
        "DURATION",
        "DURATION_OR_FOREVER",
        "FILE_CONTENT",
        "NUMBER",
        "PATH",
        "PERCENTAGE",
        "SECRET",
        "SECRET_FILE",
        "SIZE",
        "TEXT",
        "URL",
        "FileContent",
        "choice",
        "lines_of",
        "list_of",
    ),
    "kuma_sd.core.options": ("NoOptions", "OptionType", "REQUIRED", "option"),
    "kuma_sd.core.publication_change": ("Change",),
    "kuma_sd.core.publication": ("Publication",),
    "kuma_sd.core.regular_file": ("open_regular", "read_regular"),
    "kuma_sd.core.response_descriptions": ("body_shown", "certificate_shown", "problem_shown"),
    "kuma_sd.core.secret": ("Secret",),
    "kuma_sd.core.source_status": ("SourceStatus",),
    "kuma_sd.core.target_group": ("GroupKey", "TargetGroup"),
    "kuma_sd.core.url": ("Url", "parse_url"),
    "kuma_sd.core.value_limits": ("refuse_many_json_values",),
    "kuma_sd.core.yaml_nesting": ("refuse_deep_nesting",),
    "kuma_sd.http.address": ("Address", "Endpoint", "address_of", "parse_address"),
    "kuma_sd.http.client": ("HttpClient", "HttpResponse"),
    "kuma_sd.http.options": ("ClientOptions", "TlsOptions"),
    "kuma_sd.http.refused_statuses": ("refused",),
    "kuma_sd.http.tls_and_credentials": ("Access",),
    "kuma_sd.plugin.context": ("Context",),
    "kuma_sd.plugin.hookspecs": ("hookimpl",),
    "kuma_sd.plugin.interfaces": (
        "CommandPlugin",
        "Output",
        "OutputPlugin",
        "Source",
        "SourcePlugin",
        "Transform",
        "TransformPlugin",
    ),
    "kuma_sd.plugin.optional_interfaces": (
        "ExplainsGroups",
        "ExplainsLabels",
        "ForeseesFailures",
        "GivesRemarks",
        "GivesWarnings",
        "ReadByPrometheus",
        "ReadsLabels",
        "WritesFiles",
    ),
    "kuma_sd.prometheus.label_names": ("LABEL", "LABEL_NAME"),
    "kuma_sd.prometheus.matchers": (
        "MATCHERS",
        "Matcher",
        "Matchers",
        "PATTERN_CACHE_SIZE",
        "Pattern",
        "parse_matchers",
        "parse_pattern",
    ),
    "kuma_sd.prometheus.sd_formats": ("Chunks", "json_chunks", "lines_in", "yaml_chunks"),
    "kuma_sd.prometheus.sharding": (
        "MOST_SHARDS",
        "SHARD",
        "SHARDING_METHODS",
        "Shard",
        "Sharding",
        "consistent",
        "hashmod",
    ),
    "kuma_sd.state.offline_reader": ("read_snapshot",),
    "kuma_sd.system.durable_file": ("FileClaim", "check_claim", "file_holds", "remove_leftovers", "replace_file"),
    "kuma_sd.system.file_group": ("check_group",),
    "kuma_sd.system.file_watcher": ("FileWatcher",),
    "kuma_sd.system.output_path": ("check_output_path",),
    "kuma_sd.system.staging": ("STAGING",),
    "kuma_sd.system.threads": ("HelperThread",),
    "kuma_sd.system.trusted_files": ("is_trusted", "open_trusted"),
    "kuma_sd.telemetry.metric": ("Meters", "Metric"),
}

MODULE_OF_NAME = {name: module for module, names in NAMES_OF_MODULES.items() for name in names}

__all__ = [
    "BOOL",
    "DURATION",
    "DURATION_OR_FOREVER",
    "FILE_CONTENT",
    "LABEL",
    "LABEL_NAME",
    "MATCHERS",
    "MOST_SHARDS",
    "NUMBER",
    "PATH",
    "PATTERN_CACHE_SIZE",
    "PERCENTAGE",
    "REQUIRED",
    "SECRET",
    "SECRET_FILE",
    "SHARD",
    "SHARDING_METHODS",
    "SIZE",
    "STAGING",
    "TEXT",
    "UNREADABLE",
    "URL",
    "Access",
    "Address",
    "Assignment",
    "Change",
    "Chunks",
    "ClientOptions",
    "Codec",
    "CommandPlugin",
    "ConfigError",
    "Context",
    "Endpoint",
    "ExplainsGroups",
    "ExplainsLabels",
    "FileClaim",
    "FileContent",
    "FileWatcher",
    "ForeseesFailures",
    "GivesRemarks",
    "GivesWarnings",
    "GroupKey",
    "HelperThread",
    "HttpClient",
    "HttpResponse",
    "IncrementalCache",
    "Key",
    "KumaSDError",
    "Labels",
    "Logger",
    "Mailbox",
    "Matcher",
    "Matchers",
    "Meters",
    "Metric",
    "NoOptions",
    "OptionType",
    "Output",
    "OutputError",
    "OutputPlugin",
    "Pattern",
    "PluginError",
    "Publication",
    "ReadByPrometheus",
    "ReadsLabels",
    "Secret",
    "Shard",
    "Sharding",
    "Snapshot",
    "Source",
    "SourceError",
    "SourcePlugin",
    "SourceStatus",
    "Target",
    "TargetGroup",
    "TlsOptions",
    "Transform",
    "TransformError",
    "TransformPlugin",
    "Url",
    "WritesFiles",
    "__version__",
    "address_of",
    "body_shown",
    "certificate_shown",
    "check_claim",
    "check_group",
    "check_output_path",
    "choice",
    "consistent",
    "file_holds",
    "hashmod",
    "hookimpl",
    "is_trusted",
    "json_chunks",
    "lines_in",
    "lines_of",
    "list_of",
    "open_regular",
    "open_trusted",
    "option",
    "parse_address",
    "parse_matchers",
    "parse_pattern",
    "parse_url",
    "problem_shown",
    "read_regular",
    "read_snapshot",
    "refuse_deep_nesting",
    "refuse_many_json_values",
    "refused",
    "remember_short",
    "remove_leftovers",
    "replace_file",
    "yaml_chunks",
]
