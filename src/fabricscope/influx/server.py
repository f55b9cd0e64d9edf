"""One InfluxDB (1, 2, 3) or VictoriaMetrics over HTTP: which one it is, writing lines, asking.

influxdb_client writes to /api/v2/write. It has no verb for /write of 1.x before 1.8, nor for
/query, so these two are plain HTTP.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import requests
import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from fabricscope.errors import StoreError
from fabricscope.influx.address import Address

__all__ = ["PointsRefusedError", "Server", "ServerAwayError"]

TIMEOUT_S: Final = 10.0
_QUERY_TIMEOUT_S: Final = 60.0
_BODY_REFUSALS: Final = (400, 413, 422)
"""Answers that the same points would get again."""


class ServerAwayError(StoreError):
    """The server does not take points now; it may later.

    asked: whether it answered, so that a person has to change something.
    """

    def __init__(self, text: str, *, asked: bool = False) -> None:
        """Keep the sentence."""
        super().__init__(text)
        self.asked = asked


class PointsRefusedError(StoreError):
    """The server will never take these points; `status` is HTTP's, `refused` how many."""

    def __init__(self, text: str, status: int, refused: int) -> None:
        """Keep the sentence and the numbers."""
        super().__init__(text)
        self.status = status
        self.refused = refused


class Server:
    """Writes lines to a database and asks it; thread-safe as `requests` and urllib3 are."""

    def __init__(self, address: Address) -> None:
        """Prepare connections; nothing is sent."""
        self.address = address
        self._old: bool | None = None
        self._victoria: bool | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        if address.ca_file:
            self._session.verify = address.ca_file
        if address.token:
            self._session.headers["Authorization"] = f"Token {address.token}"
        elif address.user:
            self._session.auth = (address.user, address.password)
        token = address.token or (f"{address.user}:{address.password}" if address.user else "")
        self._client = InfluxDBClient(
            url=address.url,
            token=token or None,
            org=address.org or "-",
            timeout=int(TIMEOUT_S * 1e3),
            ssl_ca_cert=address.ca_file or None,
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._session.close()

    def check(self) -> None:
        """Ask whether points would be taken: credentials and database, with none to write.

        Raises ServerAwayError.
        """
        try:
            self.write([])
        except PointsRefusedError:
            return  # nothing to write is a mistake to some, but who asked is welcome

    def write(self, lines: Sequence[str]) -> None:
        """Write lines; on return the server has them.

        Raises ServerAwayError, or PointsRefusedError when it has what it will ever take of them.
        """
        body = "\n".join(lines).encode()
        status, reason = self._write_old(body) if self._old else self._write_new(body)
        if status == 404 and self._old is None and not _is_json(reason):
            # 1.x before 1.8 does not know the path.
            self._old = True
            status, reason = self._write_old(body)
        if status < 300:
            self._old = bool(self._old)
            return
        self._refuse(status, _message(reason), len(lines))

    def _write_new(self, body: bytes) -> tuple[int, str]:
        address = self.address
        bucket = f"{address.database}/{address.policy}" if address.policy else address.database
        try:
            self._writer.write(bucket=bucket, record=body, write_precision=address.precision)
        except ApiException as error:
            if not error.status:  # so it reports what is wrong with a certificate
                raise ServerAwayError(self._away(error)) from error
            return int(error.status), str(error.body or "")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ServerAwayError(self._away(error)) from error
        return 204, ""

    def _write_old(self, body: bytes) -> tuple[int, str]:
        precision = {"us": "u"}.get(self.address.precision, self.address.precision)
        parameters = {"db": self.address.database, "precision": precision}
        if self.address.policy:
            parameters["rp"] = self.address.policy
        url = f"{self.address.url}/write"
        try:
            answer = self._session.post(url, params=parameters, data=body, timeout=TIMEOUT_S)
        except (requests.RequestException, OSError) as error:
            raise ServerAwayError(self._away(error)) from error
        return answer.status_code, answer.text

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Return the series of an InfluxQL answer, times in ns.

        Raises StoreError when the server is away, is VictoriaMetrics, or has another objection.
        """
        if self._is_victoria():
            raise StoreError(
                f"{self.address.url} is VictoriaMetrics, which is written but not read back; look "
                "at its data in Grafana, or keep samples in an InfluxDB or a directory"
            )
        parameters = {"db": self.address.database, "q": question, "epoch": "ns"}
        if self.address.policy:
            parameters["rp"] = self.address.policy
        answer = self._get("/query", parameters)
        if answer.status_code != 200:
            self._refuse(answer.status_code, _message(answer.text), 0)
        try:
            result = answer.json()["results"][0]
        except (ValueError, LookupError, TypeError):
            raise StoreError(f"{self.address.url} does not answer as InfluxDB would") from None
        if "error" in result:
            status = 404 if "not found" in result["error"] else 400
            self._refuse(status, str(result["error"]), 0)
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def _is_victoria(self) -> bool:
        if self._victoria is None:
            answer = self._get("/api/v1/status/buildinfo", {})
            self._victoria = answer.status_code == 200 and _is_json(answer.text)
        return self._victoria

    def _get(self, path: str, parameters: dict[str, str]) -> requests.Response:
        url = f"{self.address.url}{path}"
        try:
            return self._session.get(url, params=parameters, timeout=_QUERY_TIMEOUT_S)
        except (requests.RequestException, OSError) as error:
            raise ServerAwayError(self._away(error)) from error

    def _away(self, error: Exception) -> str:
        text = f"{error!r} {error}"
        if "CERTIFICATE_VERIFY" in text:
            return (
                f"the certificate of {self.address.url} is not trusted; name the file of the "
                "authority that signed it with ?ca=FILE in the store's URL"
            )
        known = (
            ("refused", "connection refused"),
            ("NameResolution", "no such host"),
            ("timed out", "no answer in time"),
            ("WRONG_VERSION", "it does not speak TLS"),
        )
        reason = next((meaning for sign, meaning in known if sign in text), "connection lost")
        return f"{self.address.url} is away ({reason})"

    def _refuse(self, status: int, message: str, points: int) -> None:
        url, database = self.address.url, self.address.database
        if status in (401, 403):
            raise ServerAwayError(
                f"{url} refuses the credentials ({message}); check the token, or user and "
                "password, in the store's URL or in INFLUX_TOKEN, INFLUX_USERNAME and "
                "INFLUX_PASSWORD",
                asked=True,
            )
        if status == 404:
            raise ServerAwayError(
                f"{url} has no database {database} ({message}); create it there, or correct the "
                "store's URL",
                asked=True,
            )
        if status in _BODY_REFUSALS:
            partial = re.search(r"dropped=(\d+)", message)
            refused = int(partial[1]) if partial else points
            raise PointsRefusedError(f"{url} refuses: {message}", status, refused)
        raise ServerAwayError(f"{url} is away (HTTP {status}: {message})")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _message(text: str) -> str:
    """Return what an error's body says, in one line."""
    try:
        found = json.loads(text)
        text = str(found.get("error") or found.get("message") or text)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:300]
