"""Replace outputs at a reload: start each new one in place of the old one; if one fails, the old ones continue."""

from collections.abc import Callable, Collection, Mapping, Sequence

from kuma_sd.core.errors import KumaSDError
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.plugin.interfaces import Output
from kuma_sd.runtime.builder import start_outputs


class OutputReplacement:
    """Starts the outputs of new settings in place of those that they replace.

    Args:
        stop: stops workers, and returns when they ended or their time is over.
        open_again: opens the named outputs of the old settings again, and starts them.
    """

    def __init__(
        self, stop: Callable[[Sequence[OutputWorker]], object], open_again: Callable[[Collection[str]], None]
    ) -> None:
        self._stop = stop
        self._open_again = open_again
        self._refusal = ""
        """The reason why an output could not replace another at the last reload, by name."""

    def start(self, workers: Mapping[str, OutputWorker], outputs: Mapping[str, Output]) -> list[str]:
        """Start the outputs that replace others and return their names; if one fails, all old ones continue.

        Args:
            workers: the running outputs by name.
            outputs: the outputs of the new settings by name.

        Raises:
            KumaSDError: an output cannot be started.
        """
        replaced = {
            name: worker for name, worker in workers.items() if outputs.get(name, worker.output) is not worker.output
        }
        started: list[str] = []
        stopped: list[str] = []
        try:
            for name, worker in replaced.items():
                if not self._starts_beside(name, outputs[name]):
                    # The old output holds a resource that the new one needs.
                    stopped.append(name)
                    self._stop([worker])
                    start_outputs({name: outputs[name]})
                started.append(name)
        except KumaSDError as error:
            self._refusal = str(error)
            for name in started:
                outputs[name].close()
            if stopped:
                self._open_again(stopped)
            raise
        self._refusal = ""
        return started

    def _starts_beside(self, name: str, output: Output) -> bool:
        """Start an output while the one that it replaces continues, if possible.

        Raises:
            KumaSDError: it failed, as before for the same reason even after the old output was stopped.
        """
        try:
            start_outputs({name: output})
        except KumaSDError as error:
            if str(error) == self._refusal:
                raise
            return False
        return True
