# SPDX-License-Identifier: Apache-2.0
"""A suite of tests that are functions: each passes, is skipped or fails, and the last line of the output counts them."""
import os
import shutil
import sys

TESTS = []


class Skip(Exception):
    pass


class Wrong(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Skip(why)


def test(function):
    TESTS.append((function.__name__, function))
    return function


def tests(table):
    """One test for each (name, *arguments) of a table."""
    def add(function):
        for name, *arguments in table:
            TESTS.append((f"{function.__name__}: {name}", lambda arguments=arguments: function(*arguments)))
        return function
    return add


def same(what, got, wanted):
    if got != wanted:
        raise Wrong(f"{what}: got {str(got)[:600]}, wanted {str(wanted)[:600]}")


def write(name, text):
    with open(name, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    return name


def main(pattern, folder):
    """Runs the tests whose name contains the pattern, and removes the folder that they wrote in."""
    passed = failed = skipped = 0
    for name, function in TESTS:
        if pattern not in name:
            continue
        try:
            function()
            passed += 1
        except Skip as reason:
            skipped += 1
            print(f"skipped {name}: {reason} is needed", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print(f"FAILED {name}: {type(error).__name__ + ': ' if not isinstance(error, Wrong) else ''}{str(error)[:1500]}", flush=True)
    os.chdir("/")
    shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)
