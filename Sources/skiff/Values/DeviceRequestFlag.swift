import DockerAPI

/// Devices that the engine finds by their names: `--gpus`, and `--device vendor.com/class=name`.
enum DeviceRequestFlag {
    /// `all`, `2`, or `driver=nvidia,count=2,"capabilities=compute,utility","device=0,1",options=a=b`.
    static func gpus(_ text: String) throws -> DeviceRequest {
        var request = DeviceRequest()
        request.Driver = ""
        var capabilities: [String] = []
        var given: Set<String> = []
        for field in CommaList.split(text) {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let key = parts.count == 1 ? "count" : parts[0]
            guard given.insert(key).inserted else { throw FlagValueError("gpu request key '\(key)' can be specified only once") }
            let value = parts[parts.count - 1]
            switch key {
            case "driver": request.Driver = value
            case "count": request.Count = try count(value)
            case "device": request.DeviceIDs = value.split(separator: ",").map(String.init)
            case "capabilities": capabilities = value.split(separator: ",").map(String.init)
            case "options": request.Options = EnvironmentList.labels(value.split(separator: ",").map(String.init))
            default: throw FlagValueError("unexpected key '\(key)' in '\(field)'")
            }
        }
        if request.Count == nil, request.DeviceIDs == nil { request.Count = 1 }
        request.Capabilities = [capabilities.contains("gpu") ? capabilities : ["gpu"] + capabilities]
        return request
    }

    private static func count(_ text: String) throws -> Int {
        if text == "all" { return -1 }
        guard let number = Int(text) else {
            throw FlagValueError(
                "invalid count (\(text)): value must be either \"all\" or an integer: strconv.Atoi: parsing \"\(text)\": invalid syntax")
        }
        return number
    }

    /// Names for the engine to find, as one request, and paths of the host.
    static func split(_ devices: [String]) -> (named: DeviceRequest?, paths: [String]) {
        let names = devices.filter(isName)
        guard !names.isEmpty else { return (nil, devices) }
        var request = DeviceRequest()
        request.Driver = "cdi"
        request.DeviceIDs = names
        return (request, devices.filter { !isName($0) })
    }

    /// `vendor.com/class=name`
    static func isName(_ text: String) -> Bool {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty, !text.hasPrefix("/") else { return false }
        let kind = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        return kind.count == 2 && kind.allSatisfy { !$0.isEmpty && $0.first?.isLetter == true }
    }
}
