import DockerAPI
import Linux
import OCI
import Testing

@testable import Engine

@Suite("limits of containers")
struct LimitTests {
    private func config(_ set: (inout HostConfig) -> Void) -> HostConfig {
        var config = HostConfig()
        set(&config)
        return config
    }

    private func refusal(_ set: (inout HostConfig) -> Void) throws -> String? {
        do {
            _ = try HostConfigCheck(host: try HostFacts.read()).normalized(config(set))
            return nil
        } catch let error as EngineError {
            return error.message
        }
    }

    @Test("numbers that cannot be are refused in Docker's words")
    func refused() throws {
        #expect(try refusal { $0.BlkioWeight = 5 } == "Range of blkio weight is from 10 to 1000")
        #expect(try refusal { $0.MemorySwappiness = 101 } == "Invalid value: 101, valid memory swappiness range is 0-100")
        #expect(try refusal { $0.MemoryReservation = 1 } == "Minimum memory reservation allowed is 6MB")
        #expect(try refusal { ($0.NanoCpus, $0.CpuQuota) = (500_000_000, 5000) } == "Conflicting options: Nano CPUs and CPU Quota cannot both be set")
        #expect(
            try refusal { ($0.CpuRealtimePeriod, $0.CpuRealtimeRuntime) = (1000, 2000) }
                == "cpu real-time runtime cannot be higher than cpu real-time period")
        #expect(try refusal { $0.UsernsMode = "remap" } == "invalid user namespace mode: remap")
        #expect(try refusal { $0.StorageOpt = ["size": "1G"] }?.contains("--storage-opt is supported only for overlay over xfs") == true)
        #expect(try refusal { $0.Annotations = ["": "x"] } != nil)
        #expect(try refusal { $0.Isolation = "hyperv" } != nil)
        let many = Array(repeating: PortBinding(), count: 10_000)
        #expect(try refusal { $0.PortBindings = ["1-65535/tcp": many] }?.contains("more than 196608 ports") == true)
        #expect(try refusal { $0.PortBindings = ["1-65535/tcp": [PortBinding()], "1-65535/udp": nil] } == nil)
        #expect(try refusal { $0.DeviceCgroupRules = ["c 1:3 rw"] } == nil)
        #expect(try refusal { $0.IOMaximumIOps = 1 } == "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")
    }

    @Test("a port that the image exposes inside a run of the request is not a second one")
    func exposedInside() {
        var request = ContainerConfig()
        request.ExposedPorts = ["8000-8099/tcp": EmptyObject()]
        let merged = ImageDefaults.merge(request, ImageConfig.Config(exposedPorts: ["8080/tcp", "9000/udp"]))
        #expect(merged.ExposedPorts?.keys.sorted() == ["8000-8099/tcp", "9000/udp"])
    }

    @Test("a device that is none is named")
    func blockDevices() {
        for path in ["/nonexistent", "/dev/null"] {
            var device = ThrottleDevice()
            (device.Path, device.Rate) = (path, 1000)
            let error = #expect(throws: EngineError.self) { try BlockIOLimits(self.config { $0.BlkioDeviceReadBps = [device] }).make() }
            #expect(error?.message.contains(path) == true)
        }
    }

    @Test("an update changes what it names, and nothing that would contradict")
    func updates() throws {
        let present = config {
            $0.Memory = 64 << 20
            $0.MemorySwap = 128 << 20
            $0.NanoCpus = 500_000_000
            $0.CpusetCpus = "0"
        }
        var update = ContainerUpdateRequest()
        (update.PidsLimit, update.BlkioWeight, update.CpuShares) = (7, 300, 0)
        let changed = try ContainerUpdate(update).applied(to: present)
        #expect((changed.PidsLimit, changed.BlkioWeight, changed.CpuShares) == (7, 300, nil))
        #expect((changed.Memory, changed.CpusetCpus) == (64 << 20, "0"))
        func refusal(_ set: (inout ContainerUpdateRequest) -> Void) -> String? {
            var update = ContainerUpdateRequest()
            set(&update)
            do {
                _ = try ContainerUpdate(update).applied(to: present)
                return nil
            } catch {
                return error.message
            }
        }
        #expect(refusal { $0.CpuQuota = 5000 } == "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set")
        #expect(refusal { $0.Memory = 256 << 20 }?.hasPrefix("Memory limit should be smaller than already set memoryswap limit") == true)
        #expect(refusal { ($0.Memory, $0.MemorySwap) = (256 << 20, 512 << 20) } == nil)
    }

    @Test("lists of processors")
    func processors() {
        let available = NumberList("0-3,8")
        for text in ["0", "1-3", "3,8", "8-8,0"] { #expect(NumberList(text).map { available?.contains($0) } == true, "\(text)") }
        for text in ["4", "3-8", "9", "700"] { #expect(NumberList(text).map { available?.contains($0) } == false, "\(text)") }
        for text in ["x", "1-", "-1", "3-1", "1--2", "0\0", "99999999999999999999", "9000", "٣", ",1,"] {
            #expect(NumberList(text) == nil, "\(text)")
        }
    }

    @Test("ranges of ports and names of containers as filters")
    func filters() {
        #expect(PortRange("80")?.contains(80, "tcp") == true)
        #expect(PortRange("8000-8010/udp")?.contains(8005, "udp") == true)
        #expect(PortRange("8000-8010/udp")?.contains(8005, "tcp") == false)
        for text in ["", "x", "9-8", "1/2/3", "70000", "-1"] { #expect(PortRange(text) == nil) }
        #expect(NamePattern("we").matches("web"))
        #expect(NamePattern("^/web$").matches("web"))
        #expect(NamePattern("^web$").matches("web"))
        #expect(!NamePattern("^web$").matches("web2"))
        #expect(NamePattern("a(").matches("a("))
    }

    @Test("what ps says is told by its columns")
    func ps() throws {
        let output = "  PID STAT COMMAND\n    1 Ss   init with words\n   42 R    ps\nbroken\n"
        let response = try HostPs.parse(output, [42, 1])
        #expect(response.Titles == ["PID", "STAT", "COMMAND"])
        #expect(response.Processes == [["1", "Ss", "init with words"], ["42", "R", "ps"]])
        let error = #expect(throws: EngineError.self) { try HostPs.parse("CMD\nx\n", []) }
        #expect(error?.message == "Couldn't find PID field in ps output")
        #expect(throws: EngineError.self) { try HostPs(["-o", "comm=PID"]) }
    }
}
