#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The documents' examples are run, and the reference names all that the program knows. run.py AMONC; as root.

What a fence in docs/*.md or README.md says of the block behind it:

  amon            a spec, or what stands behind -e: checks without a word, and replays over basic.pcap with a ledger that adds up
  amon NAME.amon  likewise, and the `sh` blocks of the document find it under that name
  c NAME          a file of C, which the specs and `sh` blocks behind it find under that name
  amon error      is refused with what the `text` block behind it says; the file's name there is spec.amon
  amon warning    is accepted with what the `text` block behind it says
  sh              where it has lines of `$ amonc …`, these are run one after another, and print what stands behind them.
                  BASIC.pcap and the like are made by tests/tools/packets.py; `…` stands for any text in a line, and alone
                  on a line for any lines. `$ amonc run` needs an interface: its spec is checked, its output is not

Any other fence is only text."""
import difflib, json, os, re, shlex, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AMONC = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(ROOT / "tests/tools"))
import packets  # noqa: E402

REFERENCE = ROOT / "docs/language.md"
DOCUMENTS = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if path.exists()]
passed, failed = 0, 0


def check(where, problem):
    global passed, failed
    if not problem:
        passed += 1
        return
    failed += 1
    print(f"FAILED {where}:\n  " + "\n  ".join(problem.splitlines()))


def amonc(*arguments):
    done = subprocess.run([AMONC, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


# Documents -----------------------------------------------------------------------------------------------------------

def blocks(path):
    """Each fenced block: the line it begins on, what its fence says, its text."""
    fence, start, lines = None, 0, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```") and fence is None:
            fence, start, lines = line[3:].strip(), number, []
        elif line.startswith("```"):
            yield start, fence, "\n".join(lines) + "\n"
            fence = None
        elif fence is not None:
            lines.append(line)
    if fence is not None:
        check(f"{path.name}:{start}", "this block does not end")


def matches(expected, got):
    """`…` is any text, a line of it alone any lines."""
    pattern = "".join(r"(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + r" *\n"
                      for line in expected.splitlines())
    return re.fullmatch(pattern, got)


def compare(expected, got):
    """What differs; blank lines at the end do not count."""
    expected, got = expected.rstrip() + "\n", got.rstrip() + "\n"
    if matches(expected, got):
        return ""
    return "\n".join(difflib.unified_diff(expected.splitlines(), got.splitlines(), "documented", "printed", lineterm=""))


# Specs ---------------------------------------------------------------------------------------------------------------

def is_whole(text):
    return re.search(r"^probe\b", text, re.M)


def as_arguments(text):
    """How amonc is given a spec; the working directory is the test's own."""
    if not is_whole(text):
        return ["-e", text]
    Path("spec.amon").write_text(text)
    return ["spec.amon"]


def adds_up(document):
    """Every packet is found again: selected = in_rows + other + unaccounted."""
    for name, section in document.items():
        ledger = section.get("ledger") if isinstance(section, dict) else None
        if not ledger:
            continue
        if ledger["selected"]["packets"] > ledger["seen"]["packets"]:
            return f"{name}: more selected than seen"
        for table, of in ledger.get("tables", {}).items():
            for unit in ("packets", "bytes"):
                found = of["in_rows"][unit] + of.get("other", {}).get(unit, 0) + sum(c[unit] for c in of["unaccounted"].values())
                if found != of["selected"][unit]:
                    return f"{name}.{table}: {of['selected'][unit]} {unit} selected, {found} found again"
    return ""


def check_accepted(where, text, expected=""):
    status, out, err = amonc("check", *as_arguments(text))
    check(where, f"exit status {status}\n{err}" if status else compare(expected, err.replace("<command line>", "spec.amon")))
    if status:
        return
    status, out, err = amonc("replay", "-q", "-f", "jsonl", *as_arguments(text), capture("basic.pcap"))
    check(f"{where}, replayed", f"exit status {status}\n{err}" if status else
          next(filter(None, (adds_up(json.loads(line)) for line in out.splitlines())), ""))


def check_refused(where, text, expected):
    status, out, err = amonc("check", *as_arguments(text))
    check(where, f"exit status {status}, not 3\n{err}" if status != 3 else
          compare(expected, err.replace("<command line>", "spec.amon")))


# Commands ------------------------------------------------------------------------------------------------------------

def capture(name):
    """Makes it where it is one of ours and not there yet."""
    if name.removesuffix(".pcap") in packets.CAPTURES and not os.path.exists(name):
        packets.write_capture(name.removesuffix(".pcap"), name)
    return name


def commands(text):
    """Pairs of a command, which `\\` or an open quote carries on to the next line, and what it is said to print."""
    pairs, ends = [], True
    for line in text.splitlines():
        if not ends:
            pairs[-1][0] += "\n" + line
        elif line.startswith("$ "):
            pairs.append([line[2:], ""])
        elif pairs:
            pairs[-1][1] += line + "\n"
        ends = not pairs or pairs[-1][1] or is_ended(pairs[-1][0])
    return pairs


def is_ended(command):
    try:
        shlex.split(command)
    except ValueError:  # an open quote, or a backslash at the end
        return False
    return not command.endswith("\\")


def without_interface(command):
    """`run SPEC -i IFACE …` as `check SPEC`."""
    words = shlex.split(command)
    kept, left_out = [], {"-i", "--interface", "--count", "--interval", "-f", "--format", "-o", "--output"}
    for index, word in enumerate(words):
        if word in left_out or (index and words[index - 1] in left_out):
            continue
        kept.append("check" if word == "run" else word)
    return shlex.join(kept)


def check_commands(where, text):
    """One shell for all of a block, so that `echo $?` means the command before."""
    pairs = commands(text)
    if not any(command.removeprefix("sudo ").startswith("amonc ") for command, _ in pairs):
        return
    script = ""
    for index, (command, expected) in enumerate(pairs):
        command = command.removeprefix("sudo ")
        for name in re.findall(r"\w+\.pcap", command):
            capture(name)
        if command.startswith("amonc run "):
            command, pairs[index][1] = without_interface(command), ""
        script += f"{command}\nstatus=$?; printf '\\001'; (exit $status)\n"
    done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "PATH": f"{AMONC.parent}:{os.environ['PATH']}", "NO_COLOR": "1"})
    for (command, expected), got in zip(pairs, done.stdout.split("\1")):
        check(f"{where}: $ {command.splitlines()[0]}", compare(expected, got))


def check_document(path):
    all_blocks = list(blocks(path))
    for index, (line, fence, text) in enumerate(all_blocks):
        where = f"{path.relative_to(ROOT)}:{line}"
        word, _, rest = fence.partition(" ")
        following = all_blocks[index + 1] if index + 1 < len(all_blocks) else (0, "", "")
        if word == "sh":
            check_commands(where, text)
        elif word == "c" and rest:
            Path(rest).write_text(text)
        elif word != "amon":
            continue
        elif rest in ("error", "warning"):
            if following[1] != "text":
                check(where, "no `text` block says what amonc answers")
            elif rest == "error":
                check_refused(where, text, following[2])
            else:
                check_accepted(where, text, following[2])
        else:
            check_accepted(where, text)
            if rest:
                Path(rest).write_text(text)


# What the reference must name ----------------------------------------------------------------------------------------

def listed(title):
    """The first words of one part of `amonc fields`."""
    text = amonc("fields")[1]
    part = re.search(rf"^{title}.*\n((?:  .*\n)*)", text, re.M)
    return [line.split()[0] for line in part.group(1).splitlines()]


def causes():
    """All that the ledger may hold: the causes of a spec that reads every header and keeps its tables both ways."""
    conditions = " or ".join(listed("Protocols"))
    text = f"""ingress tc {{ metric n = count() where {conditions};
        table kept by tcp.dstport overflow other {{ metric n = count(); }}
        table dropped by tcp.dstport overflow drop {{ metric n = count(); }} }}"""
    section = json.loads(amonc("explain", "-f", "json", "-e", text)[1])["exports"]["sections"][0]
    found = [cause["name"] for cause in section["malformed"]]
    for table in section["tables"]:
        found += [cause["name"] for cause in table["unaccounted"]]
    return dict.fromkeys(found)


def prose(path):
    """What stands outside of all blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)


def check_named():
    text = prose(REFERENCE)
    quoted = set(re.findall(r"`([^`\n]+)`", text))
    prefixes = tuple(name for name in quoted if name.endswith("."))
    named = quoted | {name.removesuffix("()") for name in quoted} | {name.split("(")[0] for name in quoted}
    for name in listed("Fields"):
        check(f"field {name}", "" if name in named or name.startswith(prefixes) else f"{REFERENCE.name} does not name it")
    for title in ("Protocols", "Payload", "Aggregations"):
        for name in listed(title):
            check(f"{title.lower()}: {name}", "" if name in named else f"{REFERENCE.name} does not name it")
    for cause in causes():
        check(f"cause {cause}", "" if cause in named else f"{REFERENCE.name} does not name it")


def check_fields_exist():
    """A field that the reference names is one, or is refused by name."""
    first_parts = {name.split(".")[0] for name in listed("Fields")}
    for name in sorted(set(re.findall(r"`([a-z0-9_]+(?:\.[a-z0-9_]+)+)`", prose(REFERENCE)))):
        if name.split(".")[0] in first_parts and name not in listed("Payload") + listed("Protocols"):
            err = amonc("check", "-e", f"metric n = count() where present({name});")[2]
            check(f"{name} in {REFERENCE.name}", err if "there is no field" in err else "")


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(ROOT / "examples", f"{directory}/examples")
        os.chdir(directory)
        for path in DOCUMENTS:
            check_document(path)
        check_named()
        check_fields_exist()
        os.chdir(ROOT)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
