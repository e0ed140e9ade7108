# SPDX-License-Identifier: Apache-2.0
"""A program that measures: a line to it, numbers from it."""
import subprocess
import sys


class Driver:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(map(str, words))} failed")
        return [float(word) for word in line.split()]
