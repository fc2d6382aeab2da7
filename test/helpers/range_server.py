"""A folder in, an HTTP server on loopback that gives parts of its files out; it fails as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class RangeServer:
    """What was asked for, and what goes wrong."""

    folder: Path
    address: str = ""
    ranges: list[tuple[str, str]] = field(default_factory=list)  # (file, its Range header), of GET
    faults: list[str] = field(default_factory=list)  # of the next GETs: "half", "stall", "500", "whole", "403", "ok"
    knows_size: bool = True
    stall_seconds: float = 30.0


@contextmanager
def serve(folder: Path) -> Iterator[RangeServer]:
    """A server until the block ends."""
    state = RangeServer(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Silent."""

        def do_HEAD(self) -> None:
            path = folder / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Accept-Ranges", "bytes")
            if state.knows_size:
                self.send_header("Content-Length", str(path.stat().st_size))
                self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
            self.end_headers()

        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/")
            wanted_range = self.headers.get("Range", "")
            state.ranges.append((path.name, wanted_range))
            fault = state.faults.pop(0) if state.faults else "ok"
            if fault == "stall":
                time.sleep(state.stall_seconds)
            if fault in ("500", "403") or not path.is_file():
                self.send_error(int(fault) if fault.isdigit() else 404)
                return
            content = path.read_bytes()
            if wanted_range and fault != "whole":
                start, _, stop = wanted_range.removeprefix("bytes=").partition("-")
                content = content[int(start) : int(stop) + 1 if stop else None]
            self.send_response(206 if wanted_range and fault != "whole" else 200)
            if state.knows_size:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if fault == "half" else content)
            self.close_connection = fault == "half" or not state.knows_size

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Who waited for a stalled answer is gone."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
