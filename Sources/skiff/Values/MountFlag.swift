import DockerAPI

/// Reads `--mount type=bind,source=/a,target=/b,readonly`.
enum MountFlag {
    static func parse(_ text: String, workingDirectory: String) throws -> Mount {
        var mount = Mount()
        mount.Type = "volume"
        let fields = CommaList.fields(text)
        // The type decides which other keys may stand here, wherever it stands itself.
        for field in fields where field.key == "type" { mount.Type = field.value?.lowercased() }
        for field in fields where field.key != "type" {
            try set(field, &mount, workingDirectory)
        }
        guard let type = mount.Type, !type.isEmpty else { throw UsageError("type is required") }
        guard mount.Target?.isEmpty == false else { throw UsageError("target is required") }
        try checkRecursion(mount)
        guard
            (mount.VolumeOptions == nil || type == "volume") && (mount.BindOptions == nil || type == "bind")
                && (mount.TmpfsOptions == nil || type == "tmpfs") && (mount.ImageOptions == nil || type == "image")
        else { throw UsageError("cannot mix options of another mount type with mount type '\(type)'") }
        return mount
    }

    private static func checkRecursion(_ mount: Mount) throws {
        guard let options = mount.BindOptions else { return }
        if options.ReadOnlyNonRecursive == true, mount.ReadOnly != true {
            throw UsageError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
        }
        if options.ReadOnlyForceRecursive == true {
            guard mount.ReadOnly == true else {
                throw UsageError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
            }
            guard options.Propagation == "rprivate" else {
                throw UsageError("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction")
            }
        }
    }

    private static func set(_ field: CommaList.Field, _ mount: inout Mount, _ workingDirectory: String) throws {
        switch field.key {
        case "source", "src":
            let source = try required(field)
            mount.Source = source.hasPrefix(".") ? Paths.absolute(source, in: workingDirectory) : source
        case "target", "dst", "destination": mount.Target = try required(field)
        case "readonly", "ro": mount.ReadOnly = try boolean(field)
        case "idmap":
            switch field.value {
            case nil, "true", "1": mount.IDMap = "owner"
            case "false", "0": mount.IDMap = nil
            case let text: mount.IDMap = text
            }
        case "consistency": mount.Consistency = try required(field).lowercased()
        default:
            if field.key.hasPrefix("bind-") {
                try setBind(field, &mount)
            } else if field.key.hasPrefix("volume-") {
                try setVolume(field, &mount)
            } else {
                try setOther(field, &mount)
            }
        }
    }

    private static func setBind(_ field: CommaList.Field, _ mount: inout Mount) throws {
        var options = mount.BindOptions ?? Mount.BindOptions()
        switch field.key {
        case "bind-propagation": options.Propagation = try required(field).lowercased()
        case "bind-create-src": options.CreateMountpoint = try boolean(field)
        case "bind-nonrecursive":
            throw UsageError("bind-nonrecursive is deprecated, use bind-recursive=disabled instead")
        case "bind-recursive":
            switch try required(field) {
            case "enabled": break
            case "disabled": options.NonRecursive = true
            case "writable": options.ReadOnlyNonRecursive = true
            case "readonly": options.ReadOnlyForceRecursive = true
            default:
                throw UsageError(
                    "invalid value for bind-recursive: \(field.value ?? "") (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")")
            }
        default: throw unexpected(field)
        }
        mount.BindOptions = options
    }

    private static func setVolume(_ field: CommaList.Field, _ mount: inout Mount) throws {
        var options = mount.VolumeOptions ?? Mount.VolumeOptions()
        var driver = options.DriverConfig ?? Mount.DriverConfig()
        switch field.key {
        case "volume-nocopy": options.NoCopy = try boolean(field)
        case "volume-subpath": options.Subpath = try required(field)
        case "volume-label":
            options.Labels = (options.Labels ?? [:]).merging(EnvironmentList.labels([try required(field)])) { $1 }
        case "volume-driver":
            driver.Name = try required(field)
            options.DriverConfig = driver
        case "volume-opt":
            driver.Options = (driver.Options ?? [:]).merging(EnvironmentList.labels([try required(field)])) { $1 }
            options.DriverConfig = driver
        default: throw unexpected(field)
        }
        mount.VolumeOptions = options
    }

    private static func setOther(_ field: CommaList.Field, _ mount: inout Mount) throws {
        var tmpfs = mount.TmpfsOptions ?? Mount.TmpfsOptions()
        switch field.key {
        case "image-subpath":
            var options = Mount.ImageOptions()
            options.Subpath = try required(field)
            mount.ImageOptions = options
            return
        case "tmpfs-size": tmpfs.SizeBytes = try sizeValue(field)
        case "tmpfs-mode":
            guard let mode = Int(try required(field), radix: 8) else {
                throw UsageError("invalid value for \(field.key): \(field.value ?? "")")
            }
            tmpfs.Mode = mode
        default: throw unexpected(field)
        }
        mount.TmpfsOptions = tmpfs
    }

    private static func sizeValue(_ field: CommaList.Field) throws -> Int64 {
        do {
            return try byteCount(try required(field))
        } catch is FlagValueError {
            throw UsageError("invalid value for \(field.key): \(field.value ?? "")")
        }
    }

    private static func required(_ field: CommaList.Field) throws -> String {
        guard let value = field.value else {
            throw UsageError("invalid field '\(field.key)' must be a key=value pair")
        }
        return value
    }

    private static func boolean(_ field: CommaList.Field) throws -> Bool {
        switch field.value {
        case nil, "1", "true", "t", "True", "TRUE": true
        case "0", "false", "f", "False", "FALSE": false
        default: throw UsageError("invalid value for \(field.key): \(field.value ?? "")")
        }
    }

    private static func unexpected(_ field: CommaList.Field) -> UsageError {
        field.value == nil
            ? UsageError("invalid field '\(field.key)' must be a key=value pair")
            : UsageError("unexpected key '\(field.key)' in '\(field.key)=\(field.value ?? "")'")
    }
}

/// Fields with commas between them, as in one line of a CSV file: a field in double quotes may hold commas.
enum CommaList {
    struct Field: Equatable, Sendable {
        let key: String
        let value: String?
    }

    static func fields(_ text: String) -> [Field] {
        split(text).map { field in
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return Field(key: parts[0].lowercased(), value: parts.count == 2 ? String(parts[1]) : nil)
        }
    }

    static func split(_ text: String) -> [String] {
        var fields: [String] = [""]
        var quoted = false
        for character in text {
            if character == "\"" {
                quoted.toggle()
            } else if character == ",", !quoted {
                fields.append("")
            } else {
                fields[fields.count - 1].append(character)
            }
        }
        return fields
    }
}
