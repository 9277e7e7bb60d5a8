import AsyncHTTPClient
import FoundationEssentials
import NIOHTTP1

/// `{"errors":[{"code":…,"message":…}]}`, and what token servers send in its place.
enum ErrorBody {
    private static let limit = 64 << 10

    private struct Document: Decodable {
        struct Entry: Decodable {
            var code: String?
            var message: String?
        }
        var errors: [Entry]?
        var details: String?
        var error: String?
        var explanation: String?
        var message: String?

        enum CodingKeys: String, CodingKey {
            case errors, details, error, message
            case explanation = "error_description"
        }
    }

    /// The failure that an answer tells of. Reads its body.
    static func error(_ response: HTTPClientResponse, _ method: HTTPMethod, _ address: WebAddress) async throws -> RegistryError {
        // An error without a readable body is still that error.
        let body = (try? await Body.collect(response, limit: limit, method, address)) ?? []
        return error(status: Int(response.status.code), body: body, method, address)
    }

    static func error(status: Int, body: [UInt8], _ method: HTTPMethod, _ address: WebAddress) -> RegistryError {
        let document = try? JSONDecoder().decode(Document.self, from: Data(body))  // Pages in HTML are no documents.
        let entry = document?.errors?.first
        let code = entry?.code.map { clean($0) }
        let said = [entry?.message, document?.details, document?.explanation, document?.error, document?.message]
            .compactMap(\.self).first { !$0.isEmpty }.map { clean($0) }
        let kind = kind(status, code)
        if let code {
            return RegistryError(kind, "\(words(code)): \(said ?? words(code))", code: code, status: status)
        }
        let verb = method.rawValue.prefix(1) + method.rawValue.dropFirst().lowercased()
        let text = said ?? "unexpected status from \(verb) request to \(address.shown): \(status) \(reason(status))"
        let prefix = said != nil && kind == .unauthorized ? "unauthorized: " : ""
        return RegistryError(kind, prefix + text, status: status)
    }

    private static func kind(_ status: Int, _ code: String?) -> RegistryError.Kind {
        switch (status, code) {
        case (401, _), (_, "UNAUTHORIZED"): .unauthorized
        case (403, _), (_, "DENIED"): .denied
        case (404, _): .notFound
        case (429, _), (_, "TOOMANYREQUESTS"), (500, _), (502...504, _): .unavailable
        default: .refused
        }
    }

    /// `MANIFEST_UNKNOWN` as Docker says it.
    private static func words(_ code: String) -> String {
        code == "TOOMANYREQUESTS" ? "toomanyrequests" : code.lowercased().split(separator: "_").joined(separator: " ")
    }

    private static func reason(_ status: Int) -> String { HTTPResponseStatus(statusCode: status).reasonPhrase }

    /// Text of a stranger on its way to a terminal: short and without control characters.
    static func clean(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(1000).map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }
}
