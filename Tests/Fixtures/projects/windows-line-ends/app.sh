#!/bin/sh
echo from windows
