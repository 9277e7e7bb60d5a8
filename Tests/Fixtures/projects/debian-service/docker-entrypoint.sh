#!/bin/sh
echo "service $1 $(id -un) $(ls)"
