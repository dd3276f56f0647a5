"""Replace outputs at a reload: start each new one in place of the old one; if one fails, the old ones continue."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from kuma_sd.core.errors import KumaSDError, OutputError
from kuma_sd.pipeline.output_start import OutputStart
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.plugin.interfaces import Output
from kuma_sd.runtime.instances_kept_or_opened import Owner, guarded
from kuma_sd.runtime.output_starts import ends_in_time
from kuma_sd.settings.model import OutputSettings

HAND_OVER_PAUSE_SECONDS = 30.0
"""Minimum time between two attempts to start the same outputs after those that leave were stopped, in seconds."""

Wanted = Mapping[str, tuple[OutputSettings, Output]]
"""The outputs of the new settings by name, each with the settings it was opened from."""


class StillStartingError(OutputError):
    """The output that is to replace another has not started yet; the reload can be tried again with the same output."""


class _Refusal(NamedTuple):
    """An attempt that failed although the outputs that leave were stopped for it.

    Args:
        settings: the settings of the new outputs by name.
        beside: why some could not start beside the old ones.
        reason: why one could not start after these were stopped.
        at: when that was, in monotonic seconds.
    """

    settings: Mapping[str, OutputSettings]
    beside: Collection[str]
    reason: str
    at: float


class OutputReplacement:
    """Starts the outputs of new settings in place of those that leave: that they replace, or that are removed.

    Each starts while the old ones continue. One that cannot may need a resource of an output that leaves, such as its
    file or its port. So all that leave are stopped, and those that could not start are started once more.

    Args:
        stop: stops workers, waits until they ended or their time is over, and returns the threads that did not end.
        open_again: opens the named outputs of the old settings again, and starts them.
        give_up: asked while it waits for an output; ends the wait.
    """

    def __init__(
        self,
        stop: Callable[[Sequence[OutputWorker]], Sequence[str]],
        open_again: Callable[[Collection[str]], None],
        give_up: Callable[[], bool],
    ) -> None:
        self._stop = stop
        self._open_again = open_again
        self._give_up = give_up
        self._starts: dict[str, OutputStart] = {}
        """The starts of the last reload, if it was refused because one of them had not ended."""
        self._refusal: _Refusal | None = None

    def start(self, workers: Mapping[str, OutputWorker], wanted: Wanted) -> dict[str, OutputStart]:
        """Start the outputs that replace others and return their starts; if one fails, all old ones continue.

        Those of a reload that was refused because one of them was still starting are not started anew.

        Args:
            workers: the running outputs by name.
            wanted: the outputs of the new settings.

        Raises:
            StillStartingError: one has not started yet; those that have stay started.
            KumaSDError: one cannot be started; all are closed.
        """
        outputs = {name: output for name, (_, output) in wanted.items()}
        settings = {name: settings for name, (settings, _) in wanted.items()}
        leaving = {name: worker for name, worker in workers.items() if outputs.get(name) is not worker.output}
        starts = self._begin({name: outputs[name] for name in leaving if name in outputs})
        self._starts = {}
        stopped: Collection[str] = ()
        reasons: Mapping[str, KumaSDError] = {}
        try:
            if reasons := self._reasons(starts):
                self._check_worth_stopping(settings, reasons)
                stopped = leaving.keys()
                self._start_alone(starts, reasons, leaving.values())
        except StillStartingError:
            self._starts = starts
            raise
        except KumaSDError as error:
            _abandon(starts.values())
            if stopped:
                self._refusal = _Refusal(settings, _texts(reasons), str(error), time.monotonic())
                self._open_again(stopped)
            raise
        self._refusal = None
        return starts

    def _begin(self, outputs: Mapping[str, Output]) -> dict[str, OutputStart]:
        kept = {
            name: start
            for name, start in self._starts.items()
            if outputs.get(name) is start.output and not (start.ended and start.error)
        }
        _abandon(start for name, start in self._starts.items() if name not in kept)
        return {name: kept.get(name) or OutputStart(name, output) for name, output in outputs.items()}

    def _reasons(self, starts: Mapping[str, OutputStart]) -> dict[str, KumaSDError]:
        """Wait for outputs that start while the old ones continue; return why some could not, by name.

        Raises:
            StillStartingError: one has not ended in time.
        """
        waiting = [start for start in starts.values() if not ends_in_time(start, self._give_up)]
        if waiting:
            began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(waiting[0].began))
            raise StillStartingError(f"output {waiting[0].name}: starting since {began}; start() has not returned")
        return {name: error for name, start in starts.items() if (error := _error_of(start))}

    def _check_worth_stopping(self, settings: Mapping[str, OutputSettings], reasons: Mapping[str, KumaSDError]) -> None:
        """Check that the old outputs were not stopped in vain before, so that they are not stopped all the time.

        Raises:
            KumaSDError: one failed for the same reason when they were stopped, or that was tried just now.
        """
        last = self._refusal
        if last is None:
            return
        for error in reasons.values():
            if str(error) == last.reason:
                raise error
        is_same = (settings, _texts(reasons)) == (last.settings, last.beside)
        if is_same and time.monotonic() < last.at + HAND_OVER_PAUSE_SECONDS:
            raise OutputError(last.reason)

    def _start_alone(
        self, starts: dict[str, OutputStart], reasons: Mapping[str, KumaSDError], leaving: Collection[OutputWorker]
    ) -> None:
        """Stop the outputs that leave; then start those once more that could not start beside them.

        Raises:
            KumaSDError: one failed. If it blocks, that is the reason from before, by which the next reload recognizes
                that it need not stop the old outputs again. Or an old output did not end.
        """
        if stuck := self._stop(list(leaving)):
            raise OutputError(f"{', '.join(stuck)}: did not end, so that no output can take its place")
        starts.update({name: OutputStart(name, starts[name].output) for name in reasons})
        for name, reason in reasons.items():
            if not ends_in_time(starts[name], self._give_up):
                raise reason
            if error := _error_of(starts[name]):
                raise error


def _texts(reasons: Mapping[str, KumaSDError]) -> list[str]:
    return sorted(map(str, reasons.values()))


def _abandon(starts: Iterable[OutputStart]) -> None:
    for start in starts:
        start.abandon()


def _error_of(start: OutputStart) -> KumaSDError | None:
    try:
        guarded(Owner(f"output {start.name}"), start.check)
    except KumaSDError as error:
        return error
    return None
