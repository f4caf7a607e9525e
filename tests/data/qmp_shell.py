#!/usr/bin/env python3
"""
Writes tests/data/qmp_shell.jsonl: command lines without quotes, and what
qmp-shell 0.0.6 makes of each.

    pip install qemu.qmp==0.0.6 && python3 tests/data/qmp_shell.py > tests/data/qmp_shell.jsonl

Every row is {"line": …, "message": …}, or {"line": …, "error": …} for a line
that qmp-shell refuses. qmp-shell does not go back to the outermost object
after a dotted key: it puts the `c` of `a.b=1 c=2` inside `a`. A row that this
affects also has "from_top": the {"message": …} or {"error": …} that the same
code arrives at when it is handed one argument at a time, so that every key
starts from the outermost object.

The lines come from a fixed seed, so a second run writes the same file.
"""

import json
import math
import random
import re
import sys
from importlib.metadata import version

from qemu.qmp.qmp_shell import QMPShell, QMPShellError

COUNT = 4000
SEED = 6

# Commands and the keys that people give them.
COMMANDS = {
    "block-commit": ["device", "base", "top", "job-id", "speed"],
    "block-dirty-bitmap-add": ["node", "name", "granularity", "persistent"],
    "block-job-set-speed": ["device", "speed"],
    "block-stream": ["device", "base-node", "job-id", "speed"],
    "block_resize": ["node-name", "size"],
    "blockdev-add": [
        "driver", "node-name", "read-only", "discard", "size", "backing",
        "cache.direct", "cache.no-flush", "file", "file.driver",
        "file.filename", "file.locking", "file.file.driver",
        "file.file.filename", "file.server.type", "file.server.host",
        "file.server.port", "backing.file.driver", "backing.file.filename",
        "backing.file.server.path",
    ],
    "blockdev-mirror": ["device", "target", "sync", "job-id", "on-source-error"],
    "chardev-add": [
        "id", "backend.type", "backend.data.out", "backend.data.addr.type",
        "backend.data.addr.data", "backend.data.server",
    ],
    "cont": [],
    "device_add": [
        "driver", "id", "bus", "addr", "netdev", "mac", "drive", "chardev",
        "multifunction", "romfile", "bootindex", "queue-size",
    ],
    "device_del": ["id"],
    "human-monitor-command": ["command-line", "cpu-index"],
    "job-cancel": ["id"],
    "memsave": ["val", "size", "filename", "cpu-index"],
    "migrate": ["uri", "detach", "resume"],
    "migrate-set-capabilities": ["capabilities"],
    "migrate-set-parameters": [
        "max-bandwidth", "downtime-limit", "multifd-channels", "tls-creds",
        "xbzrle-cache-size", "cpu-throttle-initial",
    ],
    "nbd-server-start": [
        "addr", "addr.type", "addr.data.host", "addr.data.port", "tls-creds",
    ],
    "netdev_add": ["type", "id", "ifname", "script", "hostfwd", "vhost", "queues"],
    "object-add": [
        "qom-type", "id", "size", "share", "mem-path", "policy", "host-nodes",
        "prealloc", "x-use-canonical-path-for-ramblock-id",
    ],
    "qom-get": ["path", "property"],
    "qom-list": ["path"],
    "qom-set": ["path", "property", "value"],
    "query-block-jobs": [],
    "query-status": [],
    "screendump": ["filename", "device", "head", "format"],
    "send-key": ["keys", "hold-time"],
    "set_link": ["name", "up"],
    "stop": [],
    "system_powerdown": [],
    "x-debug-query-block-graph": [],
}

# What a transaction may hold.
ACTIONS = {
    "abort": [],
    "block-dirty-bitmap-add": ["node", "name", "granularity", "disabled"],
    "block-dirty-bitmap-clear": ["node", "name"],
    "blockdev-backup": ["device", "target", "sync", "x-perf.max-workers"],
    "blockdev-snapshot": ["node", "overlay"],
    "blockdev-snapshot-sync": ["device", "snapshot-file", "format", "mode"],
}

INTEGERS = [
    "0", "-0", "+0", "00", "1", "-1", "+1", "7", "42", "-42", "+42", "007",
    "-007", "+0042", "4096", "49153", "1_000", "1_0_0", "-1_000_000", "0_1",
    "+1_6", "2147483648", "-2147483649", "4294967296",
    "9007199254740993", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "-18446744073709551616",
    "340282366920938463463374607431768211456",
    "000000000000000000000000000001", "1_000_000_000_000_000_000_000_000",
]

# Words that look somewhat like numbers, and which qmp-shell sends as strings.
NEAR_INTEGERS = [
    "0x10", "0XfF", "0b101", "0o17", "1.5", "-1.5", "1.", ".5", "1e3", "1E-3",
    "1__0", "_1", "1_", "+", "-", "--1", "+-1", "1-2", "1+2", "1,2", "1:2",
    "1G", "512M", "64k", "4K", "1T", "1.5G", "-1G", "10s", "50%", "1/2",
]

WORDS = [
    "true", "false", "True", "False", "TRUE", "FALSE", "tRuE", "fAlSe",
    "yes", "no", "on", "off", "none", "null", "None", "Null", "NULL",
    "truey", "untrue", "e1000", "virtio-blk-pci", "qcow2", "raw", "file",
    "node-A", "drive0", "net1", "pci.0", "full", "inet", "unix", "host_device",
    "a", "x", "A_b-C.d", "émile", "größe", "жук", "日本語", "ñandú.qcow2",
]

PUNCTUATED = [
    "/", "/dev/null", "/var/lib/images/a.qcow2", "./b.qcow2", "../c.img",
    "~/vm.img", "C:\\images\\win.vhdx", "/tmp/a:b,c=d", "/машина/диск.img",
    "/machine", "/machine/peripheral/net1", "/machine/unattached/device[0]",
    "/machine/unattached/device[17]/pci.0", "device[0]", "a[0][1].b", "keys[]",
    "52:54:00:12:34:56", "52-54-00-12-34-56", "00:00:00:00:00:00",
    "::", "::1", "fe80::1%eth0", "2001:db8::42", "127.0.0.1", "0.0.0.0",
    "localhost:4444", "tcp:127.0.0.1:6666", "tcp:[::1]:6666",
    "unix:/run/mig.sock", "nbd:localhost:49153:exportname=node-D",
    "nbd://localhost/disk", "exec:cat", "tcp::2222-:22",
    "fat:rw:/srv", "0000:01:00.0", "01.0", "id=0", "=", "==", "=1", "a=b",
    "a=b=c", "base64,aGk=", ",", ",,", "a,b,c", "driver=file,filename=a.img",
    "a:b", "-", "--", "-x", "--help", "@", "a@b", "a#b", "a|b", "a&b", "a<b",
    "a>b", "$HOME", "*", "?", "!", "a!b", "%s", "a;b", "^", "`id`", "a{}b",
    "json:{}", "true,false", "true=1", "x[1,2]",
]

# Literals that can be written without quotes: first JSON, then what only
# Python's notation allows.
LITERALS = [
    "[]", "{}", "[[]]", "[{}]", "[[],{}]", "[[[]]]", "[[],[],[{},[]]]",
    "[0]", "[1]", "[1,2,3]", "[-1]", "[1,-2]", "[true]", "[true,false,null]",
    "[null]", "[[1],[2,3]]", "[[],1,true,null]", "[1.5]", "[-0.25,1e3]",
    "[0.5,2]", "[1E2]", "[18446744073709551615]", "[18446744073709551616]",
    "[-9223372036854775809]",
    "[1,2,]", "[[],]", "[{},]", "[[1,],]", "[True]", "[False]", "[None]",
    "[True,None]", "[True,False,None,]", "[true,None,1]", "[+1]", "[-1,+2]",
    "[1_000]", "[0x10]", "[0o17]", "[0b101]", "[1.]", "[.5]", "[00]",
    "[-1_0,+0xF,]",
]

SEGMENTS = ["a", "b", "c", "d", "file", "data", "node-name", "x_y", "é"]

BARE_WORDS = [
    "foo", "id", "e1000", "true", "none", "10", "-1", "1.5", "/dev/null",
    "driver", "a.b", "a.b.c", "net1,id", "device[0]", "-p", "--help", "émile",
]

# What the random lines reach seldom, or never.
CHOSEN = [
    # A key given twice, an object that grows, and a key that is both value
    # and object.
    "qom-set a=1 a=1", "qom-set a=1 b=2 a=3", "qom-set a= a=", "qom-set a=[] a=[]",
    "qom-set a=1 a.b=2", "qom-set a=[] a.b=2", "qom-set a=null a.b=1",
    "qom-set a= a.b=1", "qom-set a.b=1 a=2", "qom-set a.b=1 a={}",
    "qom-set a={} a=1", "qom-set a={} a={}", "qom-set a=1 a={}",
    "qom-set a={} a.b=1", "qom-set a={} a.b.c=1", "qom-set a={} a.b={}",
    "qom-set a={} b=2 a.c=3", "qom-set a={} b={} b.c=1",
    "qom-set a={} a.b=1 a.c=2", "qom-set a.b={} a.b.c=1", "qom-set a={} a.b=1 a.b=2",
    "qom-set a.b=1 a.b=1", "qom-set a.b=1 a.c=2", "qom-set a.b=1 c=2",
    "qom-set a.b=1 a.b.c=2", "qom-set a.b.c=1 a.b=2", "qom-set a.b.c=1 a.b.c=2",
    "qom-set a.b.c=1 a.b.d=2", "qom-set a.b.c.d=1", "qom-set x=1 a.b.c.d=1",
    "qom-set a.b=1 b=2", "qom-set a.b.c=1 c=2", "qom-set a.a=1 a=2",
    "qom-set a.a.a.a=1", "qom-set a=1 A=2", "qom-set a.b=1 A.b=2",
    "blockdev-add driver=qcow2 file.driver=file file.filename=a.img",
    "blockdev-add driver=qcow2 node-name=d file={} file.driver=file",
    "nbd-server-start addr.type=inet addr.data.host=::1 addr.data.port=49153",
    # Blanks.
    "cont ", " cont", "\tcont", "cont\t", " \t cont \t ", "qom-get\tpath=/machine",
    "qom-get  path=/machine \t property=type", "  qom-list   path=/  ",
    # Lines that are not key=value throughout.
    "cont now", "device_add e1000", "device_add driver=e1000 net1",
    "device_add net1 driver=e1000", "qom-get path property", "set_link net1 off",
    # Transactions.
    "transaction( )", " transaction(  ) ", "transaction(\tabort\t)",
    "transaction( abort )", "transaction( abort now )", "transaction( abort ) now",
    "transaction( abort a=1 a=2 )", "transaction( abort a={} a.b=1 )",
    "transaction( abort a.b=1 c=2 )", "transaction( abort a.b=1 a.c=2 )",
    "transaction( abort a=) )",
    "transaction", "transaction actions=[]", "transaction( transaction )",
]


class Shell(QMPShell):
    """The part of qmp-shell that reads a line; it never connects."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self._transmode = False
        self._actions = []

    def __del__(self):
        # The parent class would look for a connection to close.
        pass

    def outcome(self, line):
        """The members of a row which tell what becomes of `line`."""
        try:
            return {"message": self._build_cmd(line)}
        except QMPShellError as err:
            return {"error": str(err)}


class FromTop(Shell):
    """The same, with every argument starting from the outermost object."""

    def _cli_expr(self, tokens, parent):
        for token in tokens:
            super()._cli_expr([token], parent)


def row(line):
    """The row for `line`, or None when it has no place in the file."""
    if not in_scope(line):
        return None
    try:
        # A shell for each line, since a transaction that fails leaves its
        # shell inside that transaction.
        outcome = Shell().outcome(line)
        from_top = FromTop().outcome(line)
        # Python writes some values that JSON does not have (sets, infinity).
        json.dumps([outcome, from_top], allow_nan=False)
    except Exception:  # pylint: disable=broad-except
        # Only what qmp-shell means to do is worth comparing with.
        return None
    if outcome == {"message": None}:
        return None
    extra = {} if as_text(from_top) == as_text(outcome) else {"from_top": from_top}
    return {"line": line, **outcome, **extra}


def in_scope(line):
    """False for the lines that qmpsh reads differently on purpose."""
    words = line.split()
    if not words or re.search(r"""["']""", line):
        return False
    # A file descriptor, a pipe, the background, a comment, a whole message or
    # a built-in; and two commands that belong to the shell itself.
    if any(word[0] in "<>|&#:{" for word in words):
        return False
    if "=" in words[0] or words[0] in ("help", "exit"):
        return False
    return all(pair_in_scope(word) for word in words if "=" in word)


def pair_in_scope(word):
    """The same for one key=value."""
    key, _, value = word.partition("=")
    # A number indexes an array, and `key:=` announces JSON.
    if any(not part or part.isdecimal() for part in key.split(".")) or key[-1] == ":":
        return False
    if re.search("nan|infinity", value, re.I):
        return False
    # A bracket left open goes on in the next line.
    if any(value.count(pair[0]) != value.count(pair[1]) for pair in ("[]", "{}")):
        return False
    if value[:1] in ("[", "{"):
        parsed = QMPShell._parse_value(value)  # pylint: disable=protected-access
        return isinstance(parsed, (list, dict)) and all(map(math.isfinite, numbers(parsed)))
    return True


def numbers(value):
    """Every number inside `value`."""
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value:
            yield from numbers(item)


def as_text(value):
    """JSON as short as it gets; unlike ==, it tells 1 from True."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Writer:
    """Makes up lines."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, probability):
        """True in that share of the calls."""
        return self.random.random() < probability

    def line(self):
        """One line, its words parted by various blanks."""
        if self.chance(0.08):
            words = ["transaction(", *self.command(ACTIONS, most=3), ")"]
        else:
            words = self.command(COMMANDS, most=6)
        if self.chance(0.85):
            return " ".join(words)
        line = self.random.choice(["", "", " ", "\t", "   "])
        for word in words:
            line += word + self.random.choice([" ", "  ", "\t", " \t ", "    "])
        return line if self.chance(0.5) else line.rstrip()

    def command(self, known, most):
        """A command and its arguments, as words."""
        count = self.random.choices(range(most + 1), [5, 26, 30, 18, 7, 4, 3][:most + 1])[0]
        if self.chance(0.45):
            name = self.random.choice(sorted(known))
            keys = known[name]
        else:
            name, keys = self.name(), []
        # Keys that are all different, keys that may clash, or made-up ones.
        if keys and self.chance(0.9):
            keys = self.random.sample(keys, min(count, len(keys)))
        elif self.chance(0.6):
            keys = [self.path() for _ in range(count)]
        else:
            keys = [self.name() for _ in range(count)]
        # qmp-shell is at its best when a dotted key comes last.
        if self.chance(0.6):
            keys.sort(key=lambda key: "." in key)
        words = [name] + [f"{key}={self.value()}" for key in keys]
        if self.chance(0.04):
            words.insert(self.random.randint(1, len(words)), self.random.choice(BARE_WORDS))
        return words

    def name(self):
        """A name nobody knows."""
        letters = "abcdefghijklmnopqrstuvwxyz"
        if self.chance(0.1):
            letters += "ABCXYZéüжя日本"
        name = self.random.choice(letters)
        for _ in range(self.random.randint(1, 7)):
            name += self.random.choice(letters + "0123456789-_")
        return name

    def path(self):
        """A key of one to four segments, few enough to meet again."""
        depth = self.random.choices([1, 2, 3, 4], [5, 4, 2, 1])[0]
        return ".".join(self.random.choice(SEGMENTS) for _ in range(depth))

    def value(self):
        """What stands to the right of the equals sign."""
        kind = self.random.choices(
            [INTEGERS, NEAR_INTEGERS, WORDS, PUNCTUATED, LITERALS, "number", "empty"],
            [14, 10, 22, 26, 16, 9, 3],
        )[0]
        if kind == "empty":
            return ""
        if kind == "number":
            # As many short ones as long ones, on both sides of 64 bits.
            sign = self.random.choice(["", "", "-", "+"])
            return f"{sign}{self.random.getrandbits(self.random.randint(1, 72))}"
        return self.random.choice(kind)


def main():
    """Writes the file to standard output."""
    if version("qemu.qmp") != "0.0.6":
        sys.exit("the file must come from qemu.qmp 0.0.6")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    rows = {}
    for line in CHOSEN:
        rows[line] = row(line)
        if rows[line] is None:
            sys.exit(f"out of scope: {line}")
    writer = Writer(SEED)
    while len(rows) < COUNT:
        line = writer.line()
        if line not in rows and (made := row(line)):
            rows[line] = made
    for made in rows.values():
        print(as_text(made))


if __name__ == "__main__":
    main()
