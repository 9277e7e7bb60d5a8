import FoundationEssentials
import SystemPackage
import Testing

@testable import Builder

/// The data under Tests/Fixtures/dockerfile, found from this file's place.
enum Fixtures {
    static let directory = FilePath(#filePath).removingLastComponent().removingLastComponent()
        .appending("Fixtures").appending("dockerfile")

    static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: directory.appending(path).string)))
    }

    static func text(_ path: String) throws -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    static func decode<T: Decodable>(_ type: T.Type, _ path: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(try bytes(path)))
    }

    static func names(_ path: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: directory.appending(path).string).sorted()) ?? []
    }
}

func parse(_ text: String) throws -> Dockerfile {
    try DockerfileParser.parse(Array(text.utf8))
}
