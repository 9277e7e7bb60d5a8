#!/bin/sh
echo "alpine $(id -un) $PWD"
