import DockerAPI
import EngineClient
import Linux

extension Command {
    static func tag() -> Command {
        Command(
            name: "tag", usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", summary: "Give an image another name",
            arguments: .exactly(2)
        ) { call in
            let (repository, tag) = ImageName.split(call.arguments[1])
            try await call.program.engine.send(
                EngineRequest(
                    .post, "/images/\(EngineRequest.escaped(call.arguments[0]))/tag",
                    query: [("repo", repository), ("tag", tag)]))
            return 0
        }
    }

    static func removeImage() -> Command {
        let force = Flag<Bool>.toggle("force", short: "f", "Remove it even if something speaks against it")
        let noPrune = Flag<Bool>.toggle("no-prune", "Keep untagged parents")
        return Command(
            name: "rmi", usage: "[OPTIONS] IMAGE [IMAGE...]", summary: "Remove images", arguments: .atLeast(1),
            flags: [force, noPrune]
        ) { call in
            var query: [(String, String)] = []
            if call[force] { query.append(("force", "1")) }
            if call[noPrune] { query.append(("noprune", "1")) }
            return try await call.program.forEach(call.arguments) { name in
                let path = "/images/\(EngineRequest.escaped(name))"
                let removed: [ImageDeleteResponseItem]
                do {
                    removed = try await call.program.engine.get(
                        [ImageDeleteResponseItem].self, EngineRequest(.delete, path, query: query))
                } catch let error as EngineClientError where error.status == 404 && call[force] {
                    try call.program.warn("\(error)")  // What is not there needs no removing.
                    return
                }
                try call.program.write(ImageRemoval.text(removed))
            }
        }
    }

    static func commit() -> Command {
        let author = Flag<String>.text("author", short: "a", "Author of the image")
        let change = Flag<[String]>.list("change", short: "c", "Line of a Dockerfile to apply")
        let message = Flag<String>.text("message", short: "m", "Remark in the history")
        let pause = Flag<Bool>.toggle("pause", short: "p", initially: true, "Freeze the container meanwhile").hidden()
        let noPause = Flag<Bool>.toggle("no-pause", "Do not freeze the container meanwhile")
        return Command(
            name: "commit", usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", summary: "Make an image of a container",
            arguments: .between(1, 2), flags: [author, change, message, noPause, pause]
        ) { call in
            let (repository, tag) = call.arguments.count > 1 ? ImageName.split(call.arguments[1]) : ("", "")
            var query = [
                ("container", call.arguments[0]), ("repo", repository), ("tag", tag), ("comment", call[message]),
                ("author", call[author]),
            ]
            if call[noPause] || !call[pause] { query.append(("pause", "0")) }
            query += call[change].map { ("changes", $0) }
            let answer = try await call.program.engine.get(
                IDResponse.self,
                EngineRequest(.post, "/commit", query: query, body: try EngineClient.json(ContainerConfig())))
            try call.program.print(answer.Id ?? "")
            return 0
        }
    }

    static func bootstrap() -> Command {
        let variant = Flag<String>.text("variant", "Set of packages: minbase, buildd")
        let include = Flag<[String]>.list("include", "Packages to install in addition")
        let mirror = Flag<String>.text("mirror", as: "url", "Mirror in place of the host's")
        let certificates = Flag<Bool>.toggle("host-certificates", "Trust what the host trusts")
        return Command(
            name: "bootstrap", usage: "[OPTIONS] NAME[:TAG]",
            summary: "Make a base image, such as debian:bookworm, from the packages of the distribution",
            arguments: .exactly(1), flags: [variant, include, mirror, certificates]
        ) { call in
            var query = [("reference", call.arguments[0])]
            if !call[variant].isEmpty { query.append(("variant", call[variant])) }
            if !call[include].isEmpty { query.append(("include", call[include].joined(separator: ","))) }
            if !call[mirror].isEmpty { query.append(("mirror", call[mirror])) }
            if call[certificates] { query.append(("hostCertificates", "1")) }
            let request = EngineRequest(.post, "/images/bootstrap", query: query)
            let results = try await call.program.engine.open(request) { try await ProgressDisplay(stream: .error).show($0) }
            if let id = results.last?.ID { try call.program.print(id) }
            return 0
        }
    }
}

enum ImageRemoval {
    static func text(_ removed: [ImageDeleteResponseItem]) -> String {
        removed.map { item in
            if let name = item.Untagged, !name.isEmpty { return "Untagged: \(name)\n" }
            return "Deleted: \(item.Deleted ?? "")\n"
        }.joined()
    }
}
