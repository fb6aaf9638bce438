# SPDX-License-Identifier: MIT
"""A supervisor that is none: speaks docs/protocol.md and runs commands as plain processes, so that the client can be
tested against answers that a real one would rarely give."""
import array
import contextlib
import errno
import json
import os
import pty
import signal
import socket
import subprocess
import threading


class Refusal(Exception):
    def __init__(self, code, message, step=""):
        super().__init__(message)
        self.error = {"code": -code, "message": message, "data": {"name": errno.errorcode.get(code, "E?"), "step": step,
                                                                  "txn": ""}}


class Container:
    def __init__(self, params):
        self.params = params
        self.terminal = params.get("terminal", False)
        self.process = None
        self.code = None
        self.done = threading.Event()
        self.stdin = os.pipe()
        if self.terminal:
            self.master, self.slave = pty.openpty()
        else:
            self.out, self.err = os.pipe(), os.pipe()

    def start(self):
        env = {"PATH": os.environ["PATH"]}
        try:
            if self.terminal:
                self.process = subprocess.Popen(self.params["args"], stdin=self.slave, stdout=self.slave,
                                                stderr=self.slave, start_new_session=True, env=env)
            else:
                self.process = subprocess.Popen(self.params["args"], stdin=self.stdin[0], stdout=self.out[1],
                                                stderr=self.err[1], env=env)
        except OSError as e:
            raise Refusal(e.errno, "exec: %s" % e.strerror, "start")
        threading.Thread(target=self.reap, daemon=True).start()

    def reap(self):
        code = self.process.wait()
        self.code = code if code >= 0 else 128 - code
        for fd in (self.stdin[0], self.slave) if self.terminal else (self.stdin[0], self.out[1], self.err[1]):
            os.close(fd)
        self.done.set()


class FakeServer:
    """Handlers are methods named after the protocol's, '.' as '_'; a test replaces what it wants to go wrong."""

    def __init__(self, path):
        self.path = path
        self.requests = []
        self.containers = {}
        self.connections = []
        self.resized = threading.Event()
        self.handlers = {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def hang_up(self):
        for conn in self.connections:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)

    def serve(self, conn):
        lock, buffer, fds = threading.Lock(), b"", []
        try:
            while True:
                data, ancillary, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(16))
                for _, _, payload in ancillary:
                    got = array.array("i")
                    got.frombytes(payload)
                    fds += got
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    request = json.loads(line)
                    own = [fds.pop(0) for _ in request.get("params", {}).get("fds", ())]
                    self.requests.append((request["method"], request.get("params", {})))
                    threading.Thread(target=self.handle, args=(conn, lock, request, own), daemon=True).start()
        except OSError:
            pass
        finally:
            conn.close()

    def send(self, conn, lock, message, fds=()):
        line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        with lock:
            if fds:
                sent = conn.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
                line = line[sent:]
                for fd in fds:
                    os.close(fd)
            conn.sendall(line)

    def handle(self, conn, lock, request, fds):
        name = request["method"].replace(".", "_")
        handler = self.handlers.get(name) or getattr(self, name, None)
        try:
            if handler is None:
                raise Refusal(-32601, "no such method")
            answer = handler(request.get("params", {}), fds, lambda event: self.send(
                conn, lock, {"method": "event", "params": {"id": request["id"], "event": event}}))
            if "id" not in request:
                return
            result, passed = answer if isinstance(answer, tuple) else (answer, ())
            self.send(conn, lock, {"id": request["id"], "result": result}, passed)
        except Refusal as e:
            self.send(conn, lock, {"id": request["id"], "error": e.error})
        except OSError:
            pass
        finally:
            for fd in fds:
                os.close(fd)

    def asked(self, method):
        return [params for name, params in self.requests if name == method]

    def find(self, params):
        try:
            return self.containers[params["container"]]
        except KeyError:
            raise Refusal(errno.ENOENT, "container %s: no such container" % params["container"])

    # the methods

    def cancel(self, params, fds, event):
        return {}

    def version(self, params, fds, event):
        return {"api": "1.0", "abi": "1.0", "pid": os.getpid()}

    def verbs(self, params, fds, event):
        return [{"name": "greet", "usage": "greet WHOM", "help": "Say hello", "plugin": "fake"}]

    def verb_call(self, params, fds, event):
        event({"done": 50})
        os.write(fds[1], b"to stdout\n")
        return "hello %s from %s\n" % (" ".join(params["args"]), params["cwd"])

    def container_create(self, params, fds, event):
        key = params.get("name") or "0123456789abcdef-%d" % len(self.containers)
        self.containers[key] = Container(params)
        return {"id": key, "name": key, "txn": ""}

    def container_attach(self, params, fds, event):
        c = self.find(params)
        names, pass_on = [], []
        if c.terminal:
            names, pass_on = ["stdout", "stderr"], [os.dup(c.master), os.open("/dev/null", os.O_RDONLY)]
            if params.get("stdin"):
                names, pass_on = ["stdin"] + names, [os.dup(c.master)] + pass_on
        else:
            names, pass_on = ["stdout", "stderr"], [os.dup(c.out[0]), os.dup(c.err[0])]
            os.close(c.out[0])
            os.close(c.err[0])
            if params.get("stdin"):
                names, pass_on = ["stdin"] + names, [os.dup(c.stdin[1])] + pass_on
            os.close(c.stdin[1])
        return {"fds": names, "terminal": c.terminal}, pass_on

    def container_start(self, params, fds, event):
        self.find(params).start()
        return {"id": params["container"], "pid": self.find(params).process.pid}

    def container_wait(self, params, fds, event):
        c = self.find(params)
        c.done.wait()
        return {"id": params["container"], "exit_code": c.code, "state": "stopped"}

    def container_kill(self, params, fds, event):
        os.kill(self.find(params).process.pid, params["signal"])
        return {}

    def container_resize(self, params, fds, event):
        self.find(params)
        self.resized.set()
        return {}

    def container_delete(self, params, fds, event):
        c = self.find(params)
        if c.process and not c.done.is_set():
            c.process.send_signal(signal.SIGKILL)
        del self.containers[params["container"]]
        return {}

    def container_inspect(self, params, fds, event):
        c = self.find(params)
        state = "created" if not c.process else "stopped" if c.done.is_set() else "running"
        return {"id": params["container"], "name": params["container"], "state": state, "open_stdin": True,
                "pid": c.process.pid if c.process else 0, "terminal": c.terminal}

    def container_list(self, params, fds, event):
        return [{"id": key, "name": key, "image": "/r", "command": " ".join(c.params["args"]), "created": 1,
                 "state": "running", "status": "running", "started_ns": 1, "labels": {}}
                for key, c in self.containers.items()]

    def container_exec(self, params, fds, event):
        self.find(params)
        env = {"PATH": os.environ["PATH"]}
        try:
            if params.get("terminal"):
                master, slave = pty.openpty()
                self.execed = subprocess.Popen(params["args"], stdin=slave, stdout=slave, stderr=slave,
                                               start_new_session=True, env=env)
                os.close(slave)
                return {"exec": 1, "pid": self.execed.pid, "fds": ["terminal"]}, [master]
            self.execed = subprocess.Popen(params["args"], stdin=fds[0], stdout=fds[1], stderr=fds[2], env=env)
        except OSError as e:
            raise Refusal(e.errno, "exec: %s" % e.strerror)
        return {"exec": 1, "pid": self.execed.pid}

    def exec_wait(self, params, fds, event):
        code = self.execed.wait()
        return {"exit_code": code if code >= 0 else 128 - code}

    def exec_kill(self, params, fds, event):
        self.execed.send_signal(params["signal"])
        return {}
