import Linux
import Testing

@testable import OCIRuntime

@Suite("Systemd over D-Bus")
struct SystemdTests {
    @Test("a call has the bytes that the specification's example has")
    func callBytes() {
        var message = DBusMessage(call: "Hello", "org.freedesktop.DBus", path: "/org/freedesktop/DBus", destination: "org.freedesktop.DBus")
        message.serial = 1
        let bytes = message.bytes
        #expect(bytes.prefix(16) == [0x6C, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0x6D, 0, 0, 0])
        #expect(bytes.count == 128)
        #expect(DBusMessage(bytes) == message)
    }

    @Test("values of every type survive the way there and back")
    func values() {
        var message = DBusMessage(call: "M", "a.b", path: "/", destination: nil)
        message.serial = 7
        message.body = [
            .string("unit"), .byte(7), .boolean(true), .int16(-2), .uint16(3), .int32(-4), .uint32(5), .int64(-6), .uint64(.max),
            .double(1.5), .objectPath("/x"), .signature("a(sv)"), .array("(sa(sv))", []), .bytes([1, 2, 3]), .strings(["a", "bc"]),
            .array(
                "(sv)",
                [
                    .structure([.string("MemoryMax"), .variant(.uint64(1 << 40))]),
                    .structure([.string("PIDs"), .variant(.array("u", [.uint32(9)]))]),
                ]),
        ]
        #expect(DBusMessage(message.bytes) == message)
    }

    @Test("a message that is cut short or damaged is refused, never read over")
    func damage() {
        var message = DBusMessage(call: "M", "a.b", path: "/", destination: "c.d")
        message.body = [.array("(sv)", [.structure([.string("x"), .variant(.strings(["y"]))])])]
        let bytes = message.bytes
        for length in 0..<bytes.count { #expect(DBusMessage(Array(bytes.prefix(length))) == nil) }
        for index in bytes.indices {
            for value in [0, 1, 0x7F, 0xFF] as [UInt8] {
                var changed = bytes
                changed[index] = value
                _ = DBusMessage(changed)
            }
        }
    }

    @Test(
        "the text of GVariant is read with the types that it names",
        arguments: [
            ("uint64 123456789", DBusValue.uint64(123_456_789)), ("'inactive-or-failed'", .string("inactive-or-failed")), ("true", .boolean(true)),
            ("-5", .int32(-5)), ("byte 0x10", .byte(16)), ("['a', \"b\"]", .strings(["a", "b"])), ("@as []", .array("s", [])),
            ("[uint32 1, 2]", .array("u", [.uint32(1), .uint32(2)])),
            ("@a(ss) [('a','b')]", .array("(ss)", [.structure([.string("a"), .string("b")])])),
            ("<5>", .variant(.int32(5))), ("1.5", .double(1.5)), ("('a', uint16 7)", .structure([.string("a"), .uint16(7)])),
        ])
    func gvariant(text: String, value: DBusValue) {
        #expect(GVariantText.parse(text) == value)
    }

    @Test(
        "text that is no GVariant is refused",
        arguments: ["", "uint64", "uint64 -1", "byte 256", "'open", "[1, 'a']", "[]", "5 6", "@q 'x'", "((((((((((((((((((((((1"])
    func noGvariant(text: String) {
        #expect(GVariantText.parse(text) == nil)
    }

    @Test("slices lie inside those that their names begin with")
    func slices() throws {
        #expect(try SystemdScope.path(slice: "a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice")
        #expect(try SystemdScope.path(slice: "-.slice") == "")
        for wrong in ["a", ".slice", "a/b.slice", "a--b.slice", "-a.slice", "a-.slice"] {
            #expect(throws: RuntimeError.self) { try SystemdScope.path(slice: wrong) }
        }
    }

    @Test("units get their names as from runc")
    func units() throws {
        #expect(try SystemdScope(cgroupsPath: "", id: "x", user: false) == .init(unit: "runc-x.scope", slice: "system.slice", isUser: false))
        #expect(try SystemdScope(cgroupsPath: ":docker:y", id: "x", user: true) == .init(unit: "docker-y.scope", slice: "user.slice", isUser: true))
        #expect(try SystemdScope(cgroupsPath: "-:p:n.slice", id: "x", user: false) == .init(unit: "n.slice", slice: "-.slice", isUser: false))
        for wrong in ["/a/b", "a:b", "system.slice:p:a/b", "system.slice:p:", "nope:p:n"] {
            #expect(throws: RuntimeError.self) { try SystemdScope(cgroupsPath: wrong, id: "x", user: false) }
        }
    }

    @Test("seconds in annotations become microseconds, and what is no property is refused")
    func annotations() throws {
        let properties = try SystemdScope.properties(annotations: [
            "org.systemd.property.TimeoutStopSec": "1.5", "org.systemd.property.CollectMode": "'inactive'", "other": "x",
        ])
        #expect(properties.map(\.name) == ["CollectMode", "TimeoutStopUSec"])
        #expect(properties.map(\.value) == [.string("inactive"), .uint64(1_500_000)])
        for (name, text) in [("Ab", "1"), ("Under_score", "1"), ("TasksMax", "uint64"), ("RuntimeMaxSec", "'x'"), ("RuntimeMaxSec", "-1")] {
            #expect(throws: RuntimeError.self) { try SystemdScope.properties(annotations: ["org.systemd.property.\(name)": text]) }
        }
    }

    @Test("lists of processors become bits, quotas hundredths of a processor")
    func limits() throws {
        #expect(try SystemdLimits.bits("0-2,9") == [0b0000_0111, 0b10])
        for wrong in ["", "a", "3-1", "1-2-3", "99999"] { #expect(throws: RuntimeError.self) { try SystemdLimits.bits(wrong) } }
        #expect(SystemdLimits.perSecond(50_000, 100_000) == 500_000)
        #expect(SystemdLimits.perSecond(12_345, 100_000) == 130_000)
        #expect(SystemdLimits.perSecond(.max, 1) == .max)
    }
}
