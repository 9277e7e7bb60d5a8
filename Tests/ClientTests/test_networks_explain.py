"""`network explain` says who reaches what, and why."""

import json

from web import free_port


def test_explain_says_who_reaches_what(skiff, engine):
    port, alone = free_port(), free_port()
    skiff("network", "create", "--internal", "inside")
    skiff("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart")
    skiff("network", "create", "-o", "com.docker.network.bridge.gateway_mode_ipv6=nat-unprotected", "half")
    skiff("run", "-d", "--name", "web", "--net-in", "8mbit", "-p", f"{port}:8001", "-p", f"127.0.0.1:{alone}:8001", "busybox", "sleep", "600")
    skiff("run", "-d", "--name", "captive", "--network", "inside", "busybox", "sleep", "600")
    skiff("run", "-d", "--name", "single", "--network", "apart", "--expose", "4321", "busybox", "sleep", "600")

    def ways(target):
        explanation = json.loads(skiff("network", "explain", "--format", "json", target).out)
        return explanation["Subject"], explanation["Facts"], {(way["From"], way["To"]): way["Reaches"] for way in explanation["Ways"]}

    subject, facts, ways_in = ways(f"{port}")
    assert subject == f"port {port}/tcp" and "leads to port 8001 of container web" in facts[0]
    for source, reaches in (("outside", True), ("the host", True), ("containers of bridge", True), ("containers of inside", False)):
        assert ways_in[source, f"0.0.0.0:{port}"] is ways_in[source, f"[::]:{port}"] is reaches
    assert ways(f"127.0.0.1:{alone}")[2] == {
        ("the host", f"127.0.0.1:{alone}"): True, ("outside, and other containers", f"127.0.0.1:{alone}"): False}
    assert "no container publishes it" in ways(f"{port}/udp")[1]
    assert any("exposes its own port 4321" in fact for fact in ways("4321")[1])

    _, facts, ways_in = ways("captive")
    assert ways_in["the container", "outside, the host and other networks"] is False and "internal network inside" in facts[0]
    _, facts, ways_in = ways("single")
    assert {way[0]: reaches for way, reaches in ways_in.items()} == {
        "outside": False, "the host": True, "containers of apart": False, "containers of other networks": False, "the container": True}
    skiff("run", "-d", "--name", "both", "--network", "half", "busybox", "sleep", "600")
    _, facts, ways_in = ways("both")
    # Each family has its own answer where they differ.
    assert {":" in to: reaches for (source, to), reaches in ways_in.items() if source == "outside"} == {False: False, True: True}
    table = skiff("network", "explain", "web").out
    assert "receives at most 8000 kbit a second" in table and "FROM" in table and f"0.0.0.0:{port}" in table
    skiff("stop", "-t", "0", "web")
    assert "does not run" in skiff("network", "explain", "web").out
    assert "No such container" in skiff("network", "explain", "nobody", code=1).err
