"""A bare HTTP client, which knows nothing of kuma-sd."""

import http.client
import json
import threading
from dataclasses import dataclass
from typing import Any

PATH = "/v3/discovery:monitoringassignments"
TYPE_URL = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def names(self) -> list[str]:
        return sorted(resource["targets"][0]["name"] for resource in self.json.get("resources", []))


class HttpConnection:
    """One connection, which is kept alive."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=10)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, named)
        response = self.connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())

    def poll(self, version: str = "", timeout: str = "0s", node: str | None = "test", **fields: Any) -> Reply:
        request = {"version_info": version, "type_url": TYPE_URL} | fields
        if node is not None:
            request["node"] = {"id": node}
        query = f"?fetch-timeout={timeout}" if timeout else ""
        return self.send("POST", PATH + query, json.dumps(request).encode(), Content_Type="application/json")

    def close(self) -> None:
        self.connection.close()


class Waiting:
    """A poll that is answered in a thread of its own."""

    def __init__(self, address: str, version: str, timeout: str = "10s", node: str = "test") -> None:
        self._connection = HttpConnection(address)
        self._reply: Reply | None = None
        self.error: Exception | None = None
        arguments = (version, timeout, node)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def _run(self, *arguments: str) -> None:
        try:
            self._reply = self._connection.poll(*arguments)
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        finally:
            self._connection.close()

    def reply(self, timeout: float = 5.0) -> Reply:
        self._thread.join(timeout)
        assert self._reply is not None, self.error
        return self._reply

    def ended(self, timeout: float = 5.0) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()
