import DockerAPI
import Linux
import Networking
import SystemPackage

extension Container {
    /// `docker inspect`.
    func inspect() -> ContainerInspectResponse {
        var response = ContainerInspectResponse()
        response.Id = id
        response.Created = record.created
        response.Path = record.path
        response.Args = record.args
        response.State = apiState
        response.Image = record.imageID
        response.ResolvConfPath = paths.resolvConf.string
        response.HostnamePath = paths.hostname.string
        response.HostsPath = paths.hosts.string
        response.LogPath = record.hostConfig.LogConfig?.Type == "json-file" ? paths.log.string : ""
        response.Name = "/" + record.name
        response.RestartCount = record.state.restartCount
        response.Driver = "overlayfs"
        response.Platform = "linux"
        response.MountLabel = ""
        response.ProcessLabel = ""
        // What cannot be read was refused when the container was made.
        response.AppArmorProfile = (try? SecurityOptions(record.hostConfig.SecurityOpt ?? []))?.appArmorProfile ?? ""
        response.ExecIDs = executions.values.filter(\.isRunning).map(\.id).sorted()
        if response.ExecIDs?.isEmpty == true { response.ExecIDs = nil }
        response.HostConfig = record.hostConfig
        response.Mounts = record.mounts.filter { $0.kind != .tmpfs || !(record.hostConfig.Tmpfs ?? [:]).keys.contains($0.destination) }
            .map(\.mountPoint)
        response.Config = record.config
        response.NetworkSettings = NetworkView(record: record, isLive: phase.isLive).settings()
        var driver = DriverData()
        driver.Name = "overlayfs"
        driver.Data = ["UpperDir": paths.upper.string, "WorkDir": paths.work.string]
        response.GraphDriver = driver
        return response
    }

    private var apiState: ContainerState {
        var state = ContainerState()
        let saved = record.state
        state.Status = statusName
        state.Running = phase.process != nil || isRestarting
        state.Paused = phase.isPaused
        state.Restarting = isRestarting
        state.OOMKilled = saved.oomKilled
        state.Dead = false
        state.Pid = Int(phase.process?.pid ?? 0)
        state.ExitCode = Int(saved.exitCode)
        state.Error = saved.error
        state.StartedAt = saved.startedAt
        state.FinishedAt = saved.finishedAt
        state.Health = saved.health?.api
        state.ExitReason = phase.isLive ? nil : saved.cause?.api
        return state
    }

    var statusName: String {
        switch phase {
        case .created: "created"
        case .starting: isRestarting ? "restarting" : record.state.startedAt == SavedState.never ? "created" : "exited"
        case .running: "running"
        case .paused: "paused"
        case .exited: isRestarting ? "restarting" : "exited"
        case .removing, .removed: "removing"
        }
    }

    /// `docker ps`: one row.
    func summary() -> ContainerSummary {
        var summary = summaryWithoutPorts()
        summary.Ports = NetworkView(record: record, isLive: phase.isLive).portRows().flatMap(\.summaries)
        return summary
    }

    func summaryWithoutPorts() -> ContainerSummary {
        var summary = ContainerSummary()
        summary.Id = id
        summary.Names = ["/" + record.name]
        summary.Image = record.config.Image ?? ""
        summary.ImageID = record.imageID
        summary.Command = ([record.path] + record.args).joined(separator: " ")
        summary.Created = Timestamp(rfc3339: record.created)?.seconds ?? 0
        let view = NetworkView(record: record, isLive: phase.isLive)
        summary.Labels = record.config.Labels ?? [:]
        summary.State = statusName
        summary.Status = statusText
        var hostConfig = ContainerSummary.HostConfig()
        hostConfig.NetworkMode = record.hostConfig.NetworkMode
        summary.HostConfig = hostConfig
        var network = ContainerSummary.NetworkSettings()
        network.Networks = view.settings().Networks
        summary.NetworkSettings = network
        summary.Mounts = record.mounts.filter { $0.kind != .tmpfs }.map(\.mountPoint)
        return summary
    }

    /// `Up 5 minutes`, `Exited (0) 2 hours ago`.
    var statusText: String {
        let now = Timestamp.now().seconds
        func age(_ text: String) -> String {
            HumanDuration.text(seconds: max(0, now - (Timestamp(rfc3339: text)?.seconds ?? now)))
        }
        switch phase {
        case .running:
            let health = record.state.health.map { " (\($0.text))" } ?? ""
            return "Up \(age(record.state.startedAt))\(health)"
        case .paused: return "Up \(age(record.state.startedAt)) (Paused)"
        case .removing, .removed: return "Removal In Progress"
        case .created, .starting: return "Created"
        case .exited:
            let what = isRestarting ? "Restarting" : "Exited"
            return "\(what) (\(record.state.exitCode)) \(age(record.state.finishedAt)) ago"
        }
    }
}

/// Durations in the words of Docker's tables.
enum HumanDuration {
    static func text(seconds: Int64) -> String {
        let minutes = seconds / 60
        let hours = (seconds + 1800) / 3600
        switch seconds {
        case ..<1: return "Less than a second"
        case 1: return "1 second"
        case ..<60: return "\(seconds) seconds"
        case ..<120: return "About a minute"
        case ..<3600: return "\(minutes) minutes"
        default: break
        }
        if hours == 1 { return "About an hour" }
        if hours < 48 { return "\(hours) hours" }
        if hours < 24 * 7 * 2 { return "\(hours / 24) days" }
        if hours < 24 * 30 * 2 { return "\(hours / 24 / 7) weeks" }
        if hours < 24 * 365 * 2 { return "\(hours / 24 / 30) months" }
        return "\(hours / 24 / 365) years"
    }
}
