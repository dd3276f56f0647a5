"""Replace outputs at a reload: start each new one in place of the old one; if one fails, the old ones continue."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from kuma_sd.core.errors import KumaSDError, OutputError
from kuma_sd.pipeline.output_start import OutputStart
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.plugin.interfaces import Output
from kuma_sd.runtime.instances_kept_or_opened import Owner, guarded
from kuma_sd.runtime.output_starts import ends_in_time


class StillStartingError(OutputError):
    """The output that is to replace another has not started yet; the reload can be tried again with the same output."""


class OutputReplacement:
    """Starts the outputs of new settings in place of those that they replace.

    Args:
        stop: stops workers, and returns when they ended or their time is over.
        open_again: opens the named outputs of the old settings again, and starts them.
        give_up: asked while it waits for an output; ends the wait.
    """

    def __init__(
        self,
        stop: Callable[[Sequence[OutputWorker]], object],
        open_again: Callable[[Collection[str]], None],
        give_up: Callable[[], bool],
    ) -> None:
        self._stop = stop
        self._open_again = open_again
        self._give_up = give_up
        self._starts: dict[str, OutputStart] = {}
        """The starts of the last reload, if it was refused because one of them had not ended."""
        self._refusal = ""
        """The reason why an output could not replace another at the last reload, by name."""

    def start(self, workers: Mapping[str, OutputWorker], outputs: Mapping[str, Output]) -> dict[str, OutputStart]:
        """Start the outputs that replace others and return their starts; if one fails, all old ones continue.

        Args:
            workers: the running outputs by name.
            outputs: the outputs of the new settings by name. Those of a reload that was refused because one of them
                was still starting are not started anew.

        Raises:
            StillStartingError: one has not started yet; those that have stay started.
            KumaSDError: one cannot be started; all are closed.
        """
        names = [name for name, worker in workers.items() if outputs.get(name, worker.output) is not worker.output]
        starts = self._begin({name: outputs[name] for name in names})
        self._starts = {}
        stopped: list[str] = []
        try:
            for name, refusal in self._refusals(starts).items():
                # The old output holds a resource that the new one needs.
                stopped.append(name)
                self._stop([workers[name]])
                starts[name] = OutputStart(name, outputs[name])
                self._check_alone(starts[name], refusal)
        except StillStartingError:
            self._starts = starts
            raise
        except KumaSDError as error:
            self._refusal = str(error)
            _abandon(starts.values())
            if stopped:
                self._open_again(stopped)
            raise
        self._refusal = ""
        return starts

    def _begin(self, outputs: Mapping[str, Output]) -> dict[str, OutputStart]:
        kept = {
            name: start
            for name, start in self._starts.items()
            if outputs.get(name) is start.output and not (start.ended and start.error)
        }
        _abandon(start for name, start in self._starts.items() if name not in kept)
        return {name: kept.get(name) or OutputStart(name, output) for name, output in outputs.items()}

    def _refusals(self, starts: Mapping[str, OutputStart]) -> dict[str, KumaSDError]:
        """Wait for outputs that start while those that they replace continue; return why some could not.

        Raises:
            StillStartingError: one has not ended in time.
            KumaSDError: one failed, as before for the same reason even after the old output was stopped.
        """
        waiting = [start for start in starts.values() if not ends_in_time(start, self._give_up)]
        if waiting:
            began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(waiting[0].began))
            raise StillStartingError(f"output {waiting[0].name}: starting since {began}; start() has not returned")
        refusals = {name: error for name, start in starts.items() if (error := _error_of(start))}
        for error in refusals.values():
            if str(error) == self._refusal:
                raise error
        return refusals

    def _check_alone(self, start: OutputStart, refusal: KumaSDError) -> None:
        """Check an output that starts after the one that it replaces was stopped.

        Raises:
            KumaSDError: it failed. If it blocks, that is the refusal from before, by which the next reload recognizes
                that it need not stop the old output again.
        """
        if not ends_in_time(start, self._give_up):
            raise refusal
        if error := _error_of(start):
            raise error


def _abandon(starts: Iterable[OutputStart]) -> None:
    for start in starts:
        start.abandon()


def _error_of(start: OutputStart) -> KumaSDError | None:
    try:
        guarded(Owner(f"output {start.name}"), start.check)
    except KumaSDError as error:
        return error
    return None
