import Blocking
public import DockerAPI
import Images
import Images
import Linux
import OCI
import SystemPackage
import SystemPackage

extension ContainerEngine {
    /// The version of Skiff.
    public static let programVersion = "0.1.0"

    public func version(api: String, minimum: String) -> SystemVersion {
        let host = context.host
        var version = SystemVersion()
        var platform = SystemVersion.Platform()
        platform.Name = "Skiff"
        version.Platform = platform
        var component = SystemVersion.Component()
        component.Name = "Engine"
        component.Version = Self.programVersion
        component.Details = [
            "ApiVersion": api, "MinAPIVersion": minimum, "Os": "linux", "Arch": host.architecture,
            "KernelVersion": host.kernelRelease, "Experimental": "false", "GitCommit": "", "GoVersion": "", "BuildTime": "",
        ]
        version.Components = [component]
        version.Version = Self.programVersion
        version.ApiVersion = api
        version.MinAPIVersion = minimum
        version.GitCommit = ""
        version.GoVersion = ""
        version.Os = "linux"
        version.Arch = host.architecture
        version.KernelVersion = host.kernelRelease
        version.BuildTime = ""
        return version
    }

    public func info() async throws -> SystemInfo {
        let host = context.host
        let containers = try await listContainers(all: true, limit: 0, filters: Filters())
        var info = SystemInfo()
        info.ID = identity
        info.Containers = containers.count
        info.ContainersRunning = containers.count { $0.State == "running" }
        info.ContainersPaused = containers.count { $0.State == "paused" }
        info.ContainersStopped = containers.count { $0.State != "running" && $0.State != "paused" }
        info.Images = try await images.list().count
        info.Driver = "overlayfs"
        info.DriverStatus = []
        info.DockerRootDir = context.paths.dataRoot.string
        var plugins = SystemInfo.PluginsInfo()
        plugins.Volume = ["local"]
        plugins.Network = ["bridge", "host", "null"]
        plugins.Log = ["journald", "json-file", "local", "none"]
        info.Plugins = plugins
        info.MemoryLimit = true
        info.SwapLimit = true
        info.CpuCfsPeriod = true
        info.CpuCfsQuota = true
        info.CPUShares = true
        info.CPUSet = true
        info.PidsLimit = true
        info.OomKillDisable = try !Cgroup.isVersionTwo()
        info.CDISpecDirs = context.paths.cdiDirectories.map(\.string)
        let devices = CDIDevices(directories: context.paths.cdiDirectories, logger: context.logger)
        info.DiscoveredDevices = try await blocking { devices.names() }.map { name in
            var device = SystemInfo.DeviceInfo()
            device.Source = "cdi"
            device.ID = name
            return device
        }
        info.IPv4Forwarding = true
        info.Debug = false
        info.SystemTime = Timestamp.now().description
        info.LoggingDriver = "json-file"
        info.CgroupDriver = "cgroupfs"
        info.CgroupVersion = try Cgroup.isVersionTwo() ? "2" : "1"
        info.NEventsListener = events.listenerCount
        info.KernelVersion = host.kernelRelease
        info.OperatingSystem = host.operatingSystem
        info.OSType = "linux"
        info.OSVersion = ""
        info.Architecture = host.machine
        info.NCPU = host.processors
        info.MemTotal = host.memoryBytes
        info.RegistryConfig = registryInformation
        info.IndexServerAddress = "https://index.docker.io/v1/"
        info.Name = host.hostname
        info.Labels = []
        info.ExperimentalBuild = false
        info.ServerVersion = Self.programVersion
        var runtime = SystemInfo.Runtime()
        runtime.path = context.paths.runtime.string
        info.Runtimes = ["skiff-runtime": runtime]
        info.DefaultRuntime = "skiff-runtime"
        var swarm = SystemInfo.SwarmInfo()
        swarm.LocalNodeState = "inactive"
        swarm.ControlAvailable = false
        swarm.NodeID = ""
        swarm.NodeAddr = ""
        swarm.Error = ""
        info.Swarm = swarm
        info.LiveRestoreEnabled = true
        info.Isolation = ""
        info.InitBinary = "skiff-runtime"
        info.SecurityOptions = ["name=seccomp,profile=builtin", "name=cgroupns"]
        var firewall = SystemInfo.FirewallInfo()
        firewall.Driver = "nftables"
        info.FirewallBackend = firewall
        info.Warnings = []
        return info
    }
}
