#!/bin/bash
# clang-tidy over what is ours; .clang-tidy says what it looks for.
cd "$(dirname "$0")/.."
ls compiler/*.c runtime/*.c runtime/export/*.c cli/*.c | xargs -P "$(nproc)" -n 4 clang-tidy-19 --quiet -p build 2>/dev/null
