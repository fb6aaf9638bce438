# SPDX-License-Identifier: MIT
"""What a spec says about the process: rights, limits, filters, terminal, how it ends; and more processes in it."""
import array
import errno
import fcntl
import json
import os
import pathlib
import platform
import resource
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import box
import cow

SETS = {"inheritable": "CapInh", "permitted": "CapPrm", "effective": "CapEff", "bounding": "CapBnd", "ambient": "CapAmb"}
CHOWN, FOWNER, KILL, NET_BIND = 1 << 0, 1 << 3, 1 << 5, 1 << 10
ARCH = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[platform.machine()]
STATUS = "cat /proc/self/status"


def status(s, **more):
    return box.status(box.says(s, box.sh(s, STATUS, **more)))


def sets(found):
    return {k: int(found[v], 16) for k, v in SETS.items()}


# Rights.

def test_capabilities():
    with box.supervisor() as s:
        caps = {"bounding": ["CAP_CHOWN", "CAP_FOWNER", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
                "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"], "effective": ["CAP_CHOWN"],
                "inheritable": ["CAP_KILL", "CAP_NET_BIND_SERVICE"], "ambient": ["CAP_KILL"]}
        # A program run by a user that is not root gets what is ambient; one of root's, what is bounding or inheritable.
        found = sets(status(s, capabilities=caps, user={"uid": 1000, "gid": 1000}))
        assert found == {"bounding": CHOWN | FOWNER | KILL | NET_BIND, "inheritable": KILL | NET_BIND, "ambient": KILL,
                         "permitted": KILL, "effective": KILL}, found
        found = sets(status(s, capabilities=caps, noNewPrivileges=False))
        assert found["bounding"] == found["effective"] == CHOWN | FOWNER | KILL | NET_BIND, found
        assert found["inheritable"] == KILL | NET_BIND, found
        for none in {}, {"bounding": [], "permitted": [], "effective": []}:
            assert not any(sets(status(s, capabilities=none)).values())
        found = sets(status(s, capabilities={"bounding": ["NO_CAP", "CAP_KILL", "CAP_OF_TOMORROW"]}))
        assert found["bounding"] == KILL, found  # the kernel knows no more of these
        log = (s.dir / "daemon.log").read_text()
        for at, name in (0, "NO_CAP"), (2, "CAP_OF_TOMORROW"):
            text = '/process/capabilities/bounding/%d: "%s" is no capability that is known' % (at, name)
            line = [line for line in log.splitlines() if name in line]
            assert len(line) == 1 and "spec.ignored" in line[0], (line, log[-2000:])
            assert text.replace('"', "").replace("'", "") in line[0].replace("\\", "").replace('"', "").replace("'", ""), line


def test_no_new_privileges():
    with box.supervisor() as s:
        assert status(s, noNewPrivileges=True)["NoNewPrivs"] == "1"
        assert status(s, noNewPrivileges=False)["NoNewPrivs"] == "0"
        (s.rootfs / "suid").write_bytes(pathlib.Path("/bin/busybox").read_bytes())
        (s.rootfs / "suid").chmod(0o4755)
        for flag, uids in (False, "1000\t0\t0\t0"), (True, "1000\t1000\t1000\t1000"):
            made = box.spec(s, "/suid", "grep", "Uid", "/proc/self/status", noNewPrivileges=flag, user={"uid": 1000, "gid": 1000})
            (s.rootfs / "grep").unlink(missing_ok=True)
            (s.rootfs / "grep").symlink_to("suid")
            made["process"]["args"][:2] = ["/grep"]
            out = box.says(s, made)
            assert out.split("\t", 1)[1].strip() in (uids, "1000\t1000\t1000\t1000"), (flag, out)  # busybox drops what it need not have


def test_user():
    with box.supervisor() as s:
        user = {"uid": 1234, "gid": 5678, "additionalGids": [9, 100, 65534], "umask": 0o027}
        found = status(s, user=user)
        assert found["Uid"].split() == ["1234"] * 4 and found["Gid"].split() == ["5678"] * 4, found
        assert found["Groups"].split() == ["9", "100", "65534"] and found["Umask"] == "0027", found
        assert status(s)["Umask"] == "0022" and status(s)["Groups"].strip() == ""
        out = box.says(s, box.sh(s, "touch /tmp/f; stat -c '%a %u:%g' /tmp/f", user=user, mounts=[
            {"destination": "/tmp", "type": "tmpfs", "options": ["mode=1777"]}]))
        assert out == "640 1234:5678\n", out


def test_cwd_and_environment():
    with box.supervisor() as s:
        (s.rootfs / "only").mkdir()
        (s.rootfs / "only").chmod(0o700)
        os.chown(s.rootfs / "only", 1000, 1000)
        assert box.says(s, box.spec(s, "/bin/pwd", cwd="/tmp")) == "/tmp\n"
        assert box.says(s, box.spec(s, "/bin/pwd", cwd="/only", user={"uid": 1000, "gid": 1000})) == "/only\n"
        assert box.says(s, box.spec(s, "/bin/pwd", cwd="/made/new")) == "/made/new\n"
        assert "cwd" in box.refused(s, box.spec(s, "/bin/pwd", cwd="relative"))
        for env, uid, want in ((["A=1", "B=x=y z"], 0, ["A=1", "B=x=y z", "HOME=/root"]), (["HOME=/mine"], 0, ["HOME=/mine"]),
                               (["A=1", "B=", "A=2=3"], 0, ["B=", "A=2=3", "HOME=/root"]), (["A=1"], 1000, ["A=1", "HOME=/tmp"]), ([], 4711, ["HOME=/"])):
            out = box.says(s, box.spec(s, "/bin/env", env=env, user={"uid": uid, "gid": 0}))
            assert out.split("\n")[:-1] == want, (env, out)
        # Without a slash the program is looked for in the container's PATH.
        assert box.says(s, box.spec(s, "echo", "found", env=["PATH=/none:/bin"])) == "found\n"
        assert "nothere" in box.refused(s, box.spec(s, "nothere"))


def test_keyring():
    """A session keyring of its own: not the supervisor's, nor another container's; also for what is executed later."""
    with box.supervisor() as s:
        ours = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 1))"  # KEYCTL_GET_KEYRING_ID of the session's
        container = box.start(s, box.sh(s, "sleep 1000"))
        seen = [box.execute(s, container, "/usr/bin/python3", "-I", "-S", "-c", ours)[1] for _ in range(2)]
        box.delete(s, container)
        seen += [box.says(s, box.py(s, ours, user={"uid": uid, "gid": uid})) for uid in (0, 0, 1000)]
        seen.append(subprocess.run(["python3", "-c", ours], stdout=subprocess.PIPE, text=True, check=True).stdout)
        assert len(set(seen)) == 6 and all(int(x) > 0 for x in seen), seen


def test_limits():
    with box.supervisor() as s:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        rlimits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                   {"type": "RLIMIT_FSIZE", "soft": 4096, "hard": 8192}, {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 20},
                   {"type": "RLIMIT_NPROC", "soft": 50, "hard": 60}, {"type": "RLIMIT_CPU", "soft": 5, "hard": 6},
                   {"type": "RLIMIT_SIGPENDING", "soft": 7, "hard": 8}, {"type": "RLIMIT_MSGQUEUE", "soft": 9, "hard": 9},
                   {"type": "RLIMIT_AS", "soft": 1 << 30, "hard": 1 << 30}]
        out = box.says(s, box.sh(s, "cat /proc/self/limits", rlimits=rlimits))
        for line in ("Max open files            100                  200", "Max core file size        0                    0",
                     "Max file size             4096                 8192", "Max processes             50                   60",
                     "Max pending signals       7                    8", "Max cpu time              5                    6"):
            assert line in out, (line, out)
        end, _, err = box.run(s, box.sh(s, "head -c 9000 /dev/zero >/tmp/big", rlimits=rlimits))
        assert (s.rootfs / "tmp/big").stat().st_size == 4096 and end["exit_code"], (end, err)
        made = box.start(s, box.sh(s, "sleep 1000", rlimits=rlimits))
        out = box.execute(s, made, "sh", "-c", "ulimit -n; ulimit -Hn")[1]
        assert out == "100\n200\n", out
        box.delete(s, made)
        # More than this host's root may give is refused, by name; what is unlimited already needs no right.
        if not may("CAP_SYS_RESOURCE"):
            over = [{"type": "RLIMIT_NOFILE", "soft": hard + 1, "hard": hard + 1}]
            assert "RLIMIT_NOFILE" in box.refused(s, box.sh(s, "true", rlimits=over))


def may(cap):
    bit = {"CAP_SYS_RESOURCE": 24}[cap]
    return int(box.status(pathlib.Path("/proc/self/status").read_text())["CapEff"], 16) >> bit & 1


def test_oom_score():
    with box.supervisor() as s:
        # With and without the init, whose own score stays.
        for init in True, False:
            assert box.says(s, box.sh(s, "cat /proc/self/oom_score_adj", oomScoreAdj=321), init=init) == "321\n"
        assert box.says(s, box.sh(s, "cat /proc/self/oom_score_adj")) == pathlib.Path("/proc/self/oom_score_adj").read_text()


def test_personality():
    with box.supervisor() as s:
        if platform.machine() == "x86_64":
            assert box.says(s, box.sh(s, "uname -m", linux={"personality": {"domain": "LINUX32"}})) == "i686\n"
        assert box.says(s, box.sh(s, "uname -m", linux={"personality": {"domain": "LINUX"}})) == platform.machine() + "\n"


# Filters.

TRY = """
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
for call in sys.argv[1:]:
    number, *args = map(int, call.split(","))
    r = c.syscall(number, *[ctypes.c_long(a) for a in args])
    print(r if r >= 0 else -ctypes.get_errno(), flush=True)
"""
NR = {"x86_64": {"getpid": 39, "getppid": 110, "mkdir": 83, "personality": 135, "prctl": 157},
      "aarch64": {"getpid": 172, "getppid": 173, "personality": 92, "prctl": 167}}[platform.machine()]


def tried(s, seccomp, *calls, **more):
    calls = [",".join(map(str, [NR.get(c[0], c[0]), *c[1:]])) for c in calls]
    return box.run(s, box.py(s, TRY, *calls, linux={"seccomp": {"architectures": [ARCH], **seccomp}}, **more))


def test_seccomp():
    with box.supervisor() as s:
        def rules(*syscalls, **more):
            return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(syscalls), **more}
        for nnp in True, False:
            end, out, err = tried(s, rules({"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77},
                                           {"names": ["personality"], "action": "SCMP_ACT_ERRNO"}),
                                  ("getppid",), ("personality", 0xffffffff), noNewPrivileges=nnp)
            assert (end["exit_code"], out) == (0, "-77\n-1\n"), (nnp, end, out, err)
            assert "Seccomp:\t2" in box.says(s, box.sh(s, STATUS, noNewPrivileges=nnp, linux={"seccomp": rules(architectures=[ARCH])}))
        for action in "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP":
            end, out, _ = tried(s, rules({"names": ["getppid"], "action": action}), ("getppid",))
            assert (end["exit_code"], end["signal"], out) == (128 + signal.SIGSYS, signal.SIGSYS, ""), (action, end, out)
        for op, value, two, args, want in (("SCMP_CMP_EQ", 5, 0, 5, -33), ("SCMP_CMP_EQ", 5, 0, 6, 0), ("SCMP_CMP_NE", 5, 0, 6, -33),
                                           ("SCMP_CMP_LT", 5, 0, 4, -33), ("SCMP_CMP_LE", 5, 0, 5, -33), ("SCMP_CMP_GT", 5, 0, 6, -33),
                                           ("SCMP_CMP_GE", 5, 0, 4, 0), ("SCMP_CMP_MASKED_EQ", 6, 2, 3, -33), ("SCMP_CMP_MASKED_EQ", 6, 2, 4, 0)):
            end, out, err = tried(s, rules({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33,
                                            "args": [{"index": 0, "value": value, "valueTwo": two, "op": op}]}),
                                  ("personality", args))
            assert int(out) == want if want else int(out) >= 0, (op, value, args, out, err)
        # A default that refuses answers ENOSYS for what did not exist when its list was written, so that programs fall back.
        base = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
                "syscalls": [{"names": every_call(), "action": "SCMP_ACT_ALLOW"}]}
        end, out, err = tried(s, base, (4000,), ("personality", 0xffffffff))
        assert out == "-38\n-1\n", (end, out, err)
        for wrong in ({"defaultAction": "SCMP_ACT_MAYBE"}, rules({"names": ["getpid"], "action": "SCMP_ACT_MAYBE"}), rules({"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]})):
            assert "seccomp" in box.refused(s, box.sh(s, "true", linux={"seccomp": wrong}))
        # A list that forgets execve, and exit_group too, holds nobody up.
        for init in True, False:
            try:
                end, _, _ = box.run(s, box.sh(s, "true", linux={"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}}), init=init)
                assert end["signal"], end
            except cow.RpcError as e:
                assert "/bin/sh" in str(e), e
        # A call or machine of which nobody here has heard is one to come.
        later = rules({"names": ["of_the_future"], "action": "SCMP_ACT_ERRNO"}, architectures=[ARCH, "SCMP_ARCH_OF_THE_FUTURE"])
        assert box.says(s, box.sh(s, "echo ran", linux={"seccomp": later})) == "ran\n"


def every_call():
    """What python needs and more, as of some years ago."""
    return """access arch_prctl brk clone close connect dup dup2 execve exit exit_group faccessat fcntl fstat futex getcwd getdents64
        getegid geteuid getgid getpid getppid getrandom gettid getuid ioctl lseek lstat mmap mprotect mremap munmap newfstatat open openat
        pread64 prlimit64 read readlink rseq rt_sigaction rt_sigprocmask rt_sigreturn set_robust_list set_tid_address sigaltstack
        socket stat statx sysinfo uname wait4 write writev prctl poll capget capset kill tgkill clock_gettime ppoll readlinkat""".split()


class Notified(threading.Thread):
    """An agent for SCMP_ACT_NOTIFY: takes each listener that comes to its socket, and answers its calls in turn."""
    RECV, SEND = 0xc0502100, 0xc0182101  # of struct seccomp_notif and struct seccomp_notif_resp

    def __init__(self, path, answers):
        super().__init__(daemon=True)
        self.answers, self.states, self.calls, self.wrong = list(answers), [], [], None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen()
        self.start()

    def take(self):
        connection, _ = self.socket.accept()
        text, fds = b"", array.array("i")
        while True:
            data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4 * 8))
            for _, _, payload in ancillary:
                fds.frombytes(payload)
            if not data:
                break
            text += data
        connection.close()
        self.states.append((json.loads(text), len(fds)))
        return fds[0]

    def run(self):
        listener = -1
        try:
            while self.answers:
                ready = select.select([self.socket] + ([listener] if listener >= 0 else []), [], [], 30)[0]
                assert ready, "nothing comes"
                if self.socket in ready:
                    listener = self.take()
                    continue
                request = bytearray(80)
                fcntl.ioctl(listener, self.RECV, request)
                number, pid, _, call = struct.unpack_from("=QIIi", request)
                value, error = self.answers.pop(0)
                self.calls.append((pid, call))
                fcntl.ioctl(listener, self.SEND, struct.pack("=QqiI", number, value, -error, 0))
        except (OSError, AssertionError) as e:
            self.wrong = e
        self.socket.close()


def test_seccomp_agent():
    with box.supervisor() as s:
        path = s.dir / "agent"
        agent = Notified(path, [(0, errno.EROFS), (0, 0), (0, errno.EDQUOT)])
        linux = {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [ARCH], "listenerPath": str(path),
                             "listenerMetadata": "of the test",
                             "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}}
        script = "mkdir /one; mkdir /two && ls -d /two; trap exit TERM; echo ready; while :; do sleep 0.05; done"
        container = box.start(s, box.sh(s, script, linux=linux))
        cow.wait_for(lambda: "ready" in box.output(s, container)[0], "the calls to be answered")
        out, err = box.output(s, container)
        # Refused, and said to be done though it is not.
        assert out == "ready\n" and "/one': Read-only" in err and "/two: No such file" in err, (out, err)
        # Another process in it has a listener of its own.
        end, _, err = box.execute(s, container, "/bin/mkdir", "/three")
        assert end["exit_code"] == 1 and "/three': " in err and os.strerror(errno.EDQUOT) in err, (end, err)
        agent.join(30)
        assert not agent.wrong and len(agent.calls) == 3, (agent.wrong, agent.calls)
        pid = s.connection.call("container.inspect", container=container)["pid"]
        for (state, fds), status in zip(agent.states, ("creating", "running"), strict=True):
            assert fds == 1 and state["fds"] == ["seccompFd"] and state["metadata"] == "of the test", state
            assert state["ociVersion"].startswith("1.") and state["pid"] > 0, state
            assert {k: state["state"][k] for k in ("id", "status")} == {"id": container, "status": status}, state
            assert {"ociVersion", "bundle"} <= set(state["state"]), state
        assert agent.states[0][0]["pid"] == agent.states[0][0]["state"]["pid"] == pid, (agent.states[0], pid)
        box.delete(s, container)
        # Nobody there: nothing runs.
        path.unlink()
        assert "seccomp listener " + str(path) in box.refused(s, box.sh(s, "true", linux=linux))


# Terminal and end.

def read_until(fd, what, seconds=10):
    data, deadline = b"", time.monotonic() + seconds
    while what not in data:
        assert time.monotonic() < deadline, data
        if select.select([fd], [], [], 1)[0]:
            data += os.read(fd, 4096)
    return data


def test_terminal():
    with box.supervisor() as s:
        script = "tty; stty size; stat -c %t:%a /dev/console; [ -t 0 -a -t 1 -a -t 2 ] && echo all; ps -o pid,tty | tail -1; " \
                 "echo /dev/tty >/dev/tty; read line; stty size; kill -INT $$"
        for user in {"uid": 0, "gid": 0}, {"uid": 1000, "gid": 1000}:
            made = box.sh(s, script, terminal=True, consoleSize={"height": 31, "width": 77}, user=user)
            container = box.create(s, made, open_stdin=True)
            s.connection.call("container.attach", container=container, stdin=True, logs=True)
            fds = s.connection.take_fds()
            s.connection.call("container.start", container=container)
            seen = read_until(fds[1], b"/dev/tty\r\n").decode()
            assert "/dev/pts/0\r\n31 77\r\n" in seen and "all" in seen and "88:" in seen, seen
            s.connection.call("container.resize", container=container, height=40, width=120)
            os.write(fds[0], b"\n")
            read_until(fds[1], b"40 120")
            end = box.wait(s, container)
            assert (end["exit_code"], end["signal"]) == (130, 2), end
            for fd in fds:
                os.close(fd)
            box.delete(s, container)


def test_every_exit_code():
    with box.supervisor() as s:
        for init in True, False:
            ids = []
            for code in range(0, 256, 1 if init else 15):
                ids.append((code, box.start(s, box.spec(s, "/bin/sh", "-c", "exit %d" % code), init=init)))
            for code, container in ids:
                end = box.wait(s, container)
                assert (end["exit_code"], end.get("signal")) == (code, None), (code, end)
                box.delete(s, container)


def test_every_signal():
    """Of its own making through the init, and of ours to PID 1: the exact number, with or without a core."""
    default_ignored = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
    stops = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    with box.supervisor() as s:
        for signo in [*range(1, 32), signal.SIGRTMIN, signal.SIGRTMAX]:
            if signo in default_ignored | stops:
                continue
            if signo != signal.SIGQUIT:  # which the shell ignores
                end, _, _ = box.run(s, box.sh(s, "kill -%d $$; exit 99" % signo))
                assert (end["exit_code"], end["signal"]) == (128 + signo, signo), (signo, end)
            container = box.start(s, box.spec(s, "/bin/sleep", "1000"))
            s.connection.call("container.kill", container=container, signal=int(signo))
            end = box.wait(s, container)
            assert (end["exit_code"], end["signal"]) == (128 + signo, signo), (signo, end)
            box.delete(s, container)


def test_signals_forwarded():
    """A handler hears them; names with and without SIG; without the init as well; those that stop, too."""
    script = "for n in HUP INT QUIT USR1 USR2 TERM PIPE ALRM WINCH CONT URG; do trap \"echo $n\" $n; done; echo ready; while :; do sleep 0.05; done"
    names = ["HUP", "SIGINT", "QUIT", "sigusr1", "USR2", "TERM", "PIPE", "14", "WINCH", "CONT", "URG"]
    want = ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "PIPE", "ALRM", "WINCH", "CONT", "URG"]
    with box.supervisor() as s:
        for init in True, False:
            container = box.start(s, box.sh(s, script), init=init)
            cow.wait_for(lambda: "ready" in box.output(s, container)[0], "the handlers")
            for i, name in enumerate(names):
                s.connection.call("container.kill", container=container, signal=name)
                cow.wait_for(lambda: box.output(s, container)[0].split()[1:] == want[:i + 1], (init, name, box.output(s, container)))
            s.connection.call("container.kill", container=container)
            assert box.wait(s, container)["signal"] == 9
            box.delete(s, container)


def test_nothing_ignored_or_blocked():
    """However the supervisor was started."""
    with box.supervisor() as s:
        s.stop()
        s.start(prefix=["nohup"])
        s.connection = s.client()
        container = None
        for init in True, False:
            found = box.status(box.says(s, box.spec(s, "/bin/cat", "/proc/self/status"), init=init))
            assert all(int(found[k], 16) == 0 for k in ("SigIgn", "SigBlk", "SigPnd", "ShdPnd")), found
        container = box.start(s, box.sh(s, "sleep 1000"))
        found = box.status(box.execute(s, container, "cat", "/proc/self/status")[1])
        assert all(int(found[k], 16) == 0 for k in ("SigIgn", "SigBlk")), found
        box.delete(s, container)


def test_init():
    """No zombies, however many orphans; without it, one's own children are one's own business."""
    orphans = """
import os, time
for i in range(1000):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
def zombie(p):
    try:
        return ') Z ' in open('/proc/%s/stat' % p).read()
    except OSError:
        return False  # reaped since it was listed
def zombies():
    return [p for p in os.listdir('/proc') if p.isdigit() and zombie(p)]
for i in range(100):
    if not zombies(): break
    time.sleep(0.05)
print(os.getpid(), len(zombies()))
"""
    with box.supervisor() as s:
        assert box.says(s, box.py(s, orphans)) == "2 0\n"
        assert box.says(s, box.sh(s, "cat /proc/1/comm; echo $$; ls -l /proc/1/fd | grep pipe; true")) == "cowherd-init\n2\n"
        assert box.says(s, box.sh(s, "echo $$"), init=False) == "1\n"
        # What is left behind ends with the user's process.
        container = box.start(s, box.sh(s, "setsid sleep 1000 >/dev/null 2>&1 </dev/null & exit 3"))
        assert box.wait(s, container)["exit_code"] == 3
        box.delete(s, container)


# More processes.

def test_exec():
    with box.supervisor() as s:
        container = box.start(s, box.sh(s, "sleep 1000", env=["PATH=/bin:/usr/bin", "BASE=1"], cwd="/tmp", user={"uid": 0, "gid": 0}))
        script = "id -u; id -g; id -G; pwd; echo $BASE-$MORE; umask"
        end, out, err = box.execute(s, container, "sh", "-c", script)
        assert out == "0\n0\n0\n/tmp\n1-\n0022\n", (out, err)
        end, out, err = box.execute(s, container, "sh", "-c", script, user="1000:7", cwd="/etc", env=["MORE=2", "BASE=3"])
        assert out == "1000\n7\n7\n/etc\n3-2\n0022\n", (out, err)
        assert box.execute(s, container, "id", "-un", user="user")[1] == "user\n"
        process = {"args": ["sh", "-c", script + "; " + STATUS], "cwd": "/", "env": ["PATH=/bin", "MORE=x"],
                   "user": {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o77}, "noNewPrivileges": False,
                   "capabilities": {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
                                    "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
                   "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 33, "hard": 44}], "oomScoreAdj": 222}
        end, out, err = box.execute(s, container, process=process)
        assert out.startswith("5\n6\n6 7 8\n/\n-x\n0077\n"), (out, err)
        assert set(sets(box.status(out)).values()) == {KILL}, out
        for code in 0, 1, 77, 255:
            assert box.execute(s, container, "sh", "-c", "exit %d" % code)[0]["exit_code"] == code
        for signo in 1, 9, 11, 15:
            end = box.execute(s, container, "sh", "-c", "kill -%d $$" % signo)[0]
            assert (end["exit_code"], end["signal"]) == (128 + signo, signo), end
        # The same namespaces, cgroup and root as the first process.
        where = "for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup | sort"
        pid = s.connection.call("container.inspect", container=container)["pid"]
        out = box.execute(s, container, "sh", "-c", where)[1].split("\n")
        assert out[:5] == [os.readlink("/proc/%d/ns/%s" % (pid, n)) for n in ("pid", "net", "ipc", "uts", "mnt")], out
        assert "\n".join(out[5:]).strip() == "\n".join(sorted(pathlib.Path("/proc/%d/cgroup" % pid).read_text().split("\n"))).strip()
        made = s.connection.call("container.exec", container=container, terminal=True, height=20, width=90, user="1000",
                                 args=["sh", "-c", "stty size; tty; id -u; echo to >/dev/tty"])
        master, = s.connection.take_fds()
        seen = read_until(master, b"to\r\n")
        assert b"20 90" in seen and b"/dev/pts/" in seen and b"1000" in seen, seen
        assert s.connection.call("exec.wait", container=container, exec=made["exec"])["exit_code"] == 0
        os.close(master)
        box.delete(s, container)


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
