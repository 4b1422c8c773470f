#!/bin/sh
# A peer that fetches the file $1 as soon as somebody has it, and then stays as any other: a reader of the load profile.
pserver &
peer=$!
trap 'kill "$peer"' TERM INT
{
    until pclient info "$1" >/dev/null 2>&1; do sleep 1; done
    pclient download "$1"
} &
wait "$peer" || wait "$peer" # a signal ends the first
