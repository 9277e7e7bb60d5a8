"""Sockets of the scope `project`: to them there are no containers, networks and volumes but those of one project."""

import json
import threading
import time
import urllib.parse

import pytest

from test_scoped_sockets import ask, inside, routes

LABEL = "com.docker.compose.project"
OF_CONTAINERS = {f"{method} /containers/{{id}}/{verb}" for method, verb in (
    ("GET", "json"), ("GET", "logs"), ("GET", "stats"), ("POST", "attach"), ("POST", "exec"), ("POST", "kill"), ("POST", "pause"), ("POST", "resize"),
    ("POST", "restart"), ("POST", "start"), ("POST", "stop"), ("POST", "unpause"), ("POST", "wait"))}
OF_SESSIONS = {"GET /exec/{id}/json", "POST /exec/{id}/resize", "POST /exec/{id}/start"}
OTHERS = {"GET /_ping", "HEAD /_ping", "GET /version", "GET /info", "GET /images/json", "GET /images/{name...}/json", "GET /events", "GET /networks",
          "GET /networks/{id}", "GET /volumes", "GET /volumes/{name}", "GET /containers/json"}


@pytest.fixture
def box(skiff, engine):
    """The socket of `box`; `own` is of its project, `other` of another one and `alone` of none."""
    skiff("run", "-d", "--name", "box", "-l", f"{LABEL}=fleet", "--api-socket", "project", "busybox", "sleep", "600")
    for name, labels in (("own", ["-l", f"{LABEL}=fleet"]), ("other", ["-l", f"{LABEL}=fleet2", "-l", "fleet"]), ("alone", [])):
        skiff("run", "-d", "--name", name, *labels, "-e", "TOKEN=hunter2", "busybox", "sh", "-c", "echo said; sleep 600")
    return inside(engine)


def test_a_client_works_with_its_own_project(engine, skiff, docker, box):
    def own(*arguments, **options): return docker("-H", f"unix://{box}", *arguments, **options)

    assert sorted(own("ps", "--format", "{{.Names}}").lines) == ["box", "own"]
    assert own("logs", "own").out == "said\n"
    assert own("inspect", "-f", "{{json .Config.Env}}", "own").out.count("hunter2") == 1
    assert own("exec", "own", "echo", "within").out == "within\n"
    assert own("exec", "own", "sh", "-c", "exit 7", code=7).out == ""
    before = engine.pid_of("own")
    own("restart", "-t", "0", "own")
    assert engine.pid_of("own") != before
    own("pause", "own")
    own("unpause", "own")
    own("stop", "-t", "0", "own")
    assert own("wait", "own").out == "137\n"
    own("start", "own")
    own("kill", "own")
    assert own("ps", "-q", "--filter", "name=own").out == "" and len(own("ps", "-aq", "--filter", "name=own").lines) == 1
    events = own("events", "--since", "1", "--until", str(int(time.time()) + 1), "--format", "{{.Actor.Attributes.name}}").lines
    assert set(events) == {"box", "own"}
    for name in ("other", "alone"):
        for arguments in (["logs", name], ["exec", name, "true"], ["restart", name], ["container", "inspect", name], ["kill", name], ["wait", name]):
            assert "no such" in own(*arguments, code=1).err.lower(), arguments
    assert "not allowed on this socket" in own("run", "busybox", code=125).err
    assert "not allowed on this socket" in own("rm", "-f", "own", code=1).err


def test_to_it_there_is_nothing_else(engine, skiff, box):
    ids = {name: skiff("inspect", "-f", "{{.Id}}", name).out.strip() for name in ("own", "other", "alone")}
    processes = {name: engine.pid_of(name) for name in ids}
    sessions = {name: engine.client.api.exec_create(name, ["true"])["Id"] for name in ids}
    for name in ("other", "alone"):
        for route in OF_CONTAINERS | OF_SESSIONS:
            method, pattern = route.split(" ")
            for word in ([name, ids[name], ids[name][:12], "/" + name] if route in OF_CONTAINERS else [sessions[name]]):
                path = pattern.replace("{id}", urllib.parse.quote(word, safe=""))
                status, content = ask(box, method, path + "?stdout=1&h=1&w=1", json.dumps({"Cmd": ["true"]}) if method == "POST" else None)
                absent = ask(box, method, pattern.replace("{id}", "nosuch") + "?stdout=1&h=1&w=1", json.dumps({"Cmd": ["true"]}) if method == "POST" else None)
                assert (status, content) == (404, absent[1].replace("nosuch", word)) and absent[0] == 404, (route, word, status, content)
    assert {name: engine.pid_of(name) for name in ids} == processes
    # Whatever filters say, the project's own comes on top.
    for filters in ({}, {"label": [f"{LABEL}=fleet2"]}, {"label": {f"{LABEL}=fleet2": True}}, {"name": ["other"]}, {"id": [ids["other"]]}, {"label": ["fleet"]}):
        query = urllib.parse.urlencode({"all": 1, "filters": json.dumps(filters)})
        for path in (f"/containers/json?{query}", f"/containers/json?{query}&filters={{}}", f"/v1.44/containers/json?filters=&{query}"):
            status, content = ask(box, "GET", path)
            assert status == 200 and ids["other"] not in content and ids["alone"] not in content, (path, content)
    for key in ("before", "since", "dangling"):
        for name in ("other", "nosuch"):
            assert ask(box, "GET", "/containers/json?" + urllib.parse.urlencode({"filters": json.dumps({key: [name]})}))[0] == 403
    status, content = ask(box, "GET", f"/events?since=1&until={int(time.time()) + 1}")
    assert status == 200 and ids["own"] in content and ids["other"] not in content and ids["alone"] not in content
    status, content = ask(box, "POST", "/containers/own/exec", json.dumps({"Cmd": ["true"], "Privileged": True}))
    assert status == 403 and "privileged" in content
    assert ask(box, "POST", f"/exec/{sessions['own']}/start", json.dumps({"Detach": True}))[0] == 200
    privileged = engine.client.api.exec_create("own", ["true"], privileged=True)["Id"]
    for method, verb in (("POST", "start"), ("POST", "resize?h=1&w=1"), ("GET", "json")):
        assert ask(box, method, f"/exec/{privileged}/{verb}", json.dumps({"Detach": True}) if method == "POST" else None)[0] == 403
    size = json.loads(ask(box, "GET", "/containers/json?size=1")[1])
    assert all("SizeRw" not in row for row in size)


def test_networks_and_volumes_are_those_of_the_project(skiff, box):
    for kind in ("network", "volume"):
        skiff(kind, "create", "--label", f"{LABEL}=fleet", f"{kind}-own")
        skiff(kind, "create", "--label", f"{LABEL}=fleet2", f"{kind}-other")
        status, content = ask(box, "GET", f"/{kind}s")
        assert status == 200 and f"{kind}-own" in content and f"{kind}-other" not in content and '"bridge"' not in content.replace('"Driver":"bridge"', "")
        assert ask(box, "GET", f"/{kind}s/{kind}-own")[0] == 200
        status, content = ask(box, "GET", f"/{kind}s/{kind}-other")
        assert status == 404 and content == ask(box, "GET", f"/{kind}s/nosuch")[1].replace("nosuch", f"{kind}-other")
        skiff(kind, "rm", f"{kind}-own", f"{kind}-other")
    status, content = ask(box, "GET", "/images/busybox/json")
    assert status == 200 and json.loads(content)["Config"]["Cmd"] in ([], None)


def test_everything_else_is_refused(engine, skiff, box):
    allowed = OF_CONTAINERS | OF_SESSIONS | OTHERS
    refused = {route for route in routes() if route.replace("/images/{name}/", "/images/{name...}/") not in allowed}
    assert len(refused) > 70
    for route in sorted(refused):
        method, pattern = route.split(" ")
        path = pattern.replace("{name...}", "busybox").replace("{id}", "own").replace("{name}", "busybox")
        status, content = ask(box, method, path, "{}" if method in ("POST", "PUT") else None)
        assert status == 404 and "page not found" in content or status == 403 and (method == "HEAD" or "scope is project" in content), (route, status, content)
    assert len(skiff("ps", "-aq").lines) == 4


def test_it_needs_a_project_that_no_image_can_give(engine, skiff, docker, box, context):
    needed = f"label {LABEL}"
    image = context({"Dockerfile": f"FROM busybox\nLABEL {LABEL}=fleet kept=yes\n"})
    docker("build", "-q", "-t", "labelled", image)
    for name in ("busybox", "labelled"):
        assert needed in skiff("create", "--api-socket", "project", name, code=1).err
    skiff("run", "-d", "--name", "stray", "labelled", "sleep", "600")
    assert json.loads(skiff("inspect", "stray").out)[0]["Config"]["Labels"] == {"kept": "yes"}
    assert ask(box, "GET", "/containers/stray/json")[0] == 404
    skiff("rm", "-f", "stray")
    docker("rmi", "labelled")
    # It is asked with each request what the label is now.
    assert ask(box, "GET", "/containers/own/json")[0] == 200
    skiff("update", "--label", f"{LABEL}=fleet2", "box")
    assert ask(box, "GET", "/containers/own/json")[0] == 404 and ask(box, "GET", "/containers/other/json")[0] == 200
    skiff("update", "--label-rm", LABEL, "box")
    for path in ("/containers/json", "/_ping", "/containers/other/json"):
        status, content = ask(box, "GET", path)
        assert status == 403 and "belongs to no project" in content
    # It goes on all the same.
    docker("restart", "-t", "0", "box")
    assert ask(inside(engine), "GET", "/containers/json")[0] == 403


def test_a_container_has_sockets_of_one_scope(skiff, box):
    both = ["--mount", "type=engine-socket,source=read-only,target=/a", "--mount", "type=engine-socket,source=project,target=/b"]
    assert "one scope only" in skiff("create", "-l", f"{LABEL}=fleet", *both, "busybox", code=1).err
    change = ["--mount-rm", "/var/run/docker.sock", "--mount", "type=engine-socket,source=read-only,target=/a"]
    assert "one scope only" in skiff("update", *change, "box", code=1).err
    assert ask(box, "POST", "/containers/own/pause")[0] == 204
    skiff("unpause", "own")


def test_beginnings_of_ids_and_neighbours_on_a_network_tell_nothing(engine, skiff, box):
    own, other = (skiff("inspect", "-f", "{{.Id}}", name).out.strip() for name in ("own", "other"))
    members = {own, skiff("inspect", "-f", "{{.Id}}", "box").out.strip()}
    for digit in "0123456789abcdef":
        expected = {0: 404, 1: 200}.get(sum(id.startswith(digit) for id in members), 400)
        assert ask(box, "GET", f"/containers/{digit}/json")[0] == expected, digit
    skiff("network", "create", "--label", f"{LABEL}=fleet", "shared")
    for name in ("own", "other"): skiff("network", "connect", "shared", name)
    assert len(json.loads(skiff("network", "inspect", "shared").out)[0]["Containers"]) == 2
    status, content = ask(box, "GET", "/networks/shared")
    assert status == 200 and list(json.loads(content)["Containers"]) == [own] and other not in content
    for name in ("own", "other"): skiff("network", "disconnect", "shared", name)
    skiff("network", "rm", "shared")


def test_what_it_makes_has_limits(engine, skiff, box):
    assert ask(box, "POST", "/containers/own/exec", json.dumps({"Cmd": ["true"], "Env": ["A=" + "x" * 70000]}))[0] == 400
    made = [ask(box, "POST", "/containers/own/exec", json.dumps({"Cmd": ["true"]}))[0] for _ in range(65)]
    assert made == [201] * 64 + [409]
    engine.client.api.exec_create("own", ["true"])
    # Work that takes long keeps nothing else waiting.
    skiff("run", "-d", "--name", "slow", "-l", f"{LABEL}=fleet", "busybox", "sh", "-c", "trap '' TERM; sleep 600 & wait; wait")
    stopping = [threading.Thread(target=lambda: ask(box, "POST", "/containers/slow/stop?t=15")) for _ in range(5)]
    for thread in stopping: thread.start()
    assert ask(box, "GET", "/_ping")[0] == 200
    skiff("kill", "slow")
    for thread in stopping: thread.join()
    skiff("rm", "slow")
