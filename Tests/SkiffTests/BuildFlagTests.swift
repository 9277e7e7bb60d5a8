import Linux
import Testing

@testable import SkiffCommands

@Suite("Flags of build")
struct BuildFlagTests {
    func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch let error as FlagValueError {
            return error.message
        } catch {
            return "\(error)"
        }
    }

    @Test("a secret comes from a file or a variable, by its own name if nothing else is said")
    func secrets() throws {
        func secret(_ text: String) throws -> SecretFlag { try SecretFlag.parse(text, environment: ["SET": "x"]) }
        #expect(try secret("id=a,src=/f") == SecretFlag(id: "a", source: .file("/f")))
        #expect(try secret("id=a,env=B") == SecretFlag(id: "a", source: .variable("B")))
        #expect(try secret("type=env,id=a,src=B") == SecretFlag(id: "a", source: .variable("B")))
        #expect(try secret("id=SET") == SecretFlag(id: "SET", source: .variable("SET")))
        #expect(try secret("id=a") == SecretFlag(id: "a", source: .file("a")))
        #expect(try secret("id=a,\"src=/b,c\"").source == .file("/b,c"))
        #expect(try secret("id=a,env=SET").value(environment: ["SET": "x"], workingDirectory: "/") == [0x78])
        #expect(try secret("id=a,env=B").value(environment: [:], workingDirectory: "/") == nil)
        #expect(message { _ = try secret("src=/f") } == "invalid secret: id is missing in \"src=/f\"")
        #expect(message { _ = try secret("id=a,what=b") } == "unexpected key 'what' in 'what=b'")
        #expect(message { _ = try secret("id=a,src=b,env=c") }.hasPrefix("a secret comes from"))
        #expect(message { _ = try secret("id") } == "invalid field 'id' must be a key=value pair")
    }

    @Test("where a result goes")
    func outputs() throws {
        #expect(try OutputFlag.parse("dir") == OutputFlag(kind: .local, destination: "dir"))
        #expect(try OutputFlag.parse("-") == OutputFlag(kind: .tar))
        #expect(try OutputFlag.parse("type=tar,dest=-") == OutputFlag(kind: .tar))
        #expect(try OutputFlag.parse("type=docker,dest=-").isStream && OutputFlag.parse("-").isStream)
        #expect(try !OutputFlag.parse("type=docker").isStream && !OutputFlag.parse("type=tar,dest=a").isStream)
        #expect(try OutputFlag.parse("type=registry,name=a") == OutputFlag(kind: .registry, names: ["a"], pushes: true))
        #expect(
            try OutputFlag.parse("type=image,\"name=a,b\",push=true") == OutputFlag(kind: .image, names: ["a", "b"], pushes: true))
        #expect(try OutputFlag.parse("type=oci,dest=d,tar=false") == OutputFlag(kind: .oci, destination: "d", isArchive: false))
        for wrong in ["type=x", "dest=a,type=local,what=1", "type=local", "dest=a", "type=oci,tar=false", "type=tar,tar=maybe"] {
            #expect(message { _ = try OutputFlag.parse(wrong) } != "no error", "\(wrong)")
        }
    }

    @Test("named contexts")
    func contexts() throws {
        #expect(try ContextFlag.parse("a=b=c") == ContextFlag(name: "a", value: "b=c"))
        #expect(try ContextFlag.parse("a=dir").isFolder)
        #expect(try !ContextFlag.parse("a=docker-image://x").isFolder)
        #expect(try !ContextFlag.parse("a=https://x").isFolder)
        for wrong in ["a", "=b", "a=", "a=oci-layout://x", "a=target:x", "a=input:x"] {
            #expect(message { _ = try ContextFlag.parse(wrong) } != "no error", "\(wrong)")
        }
    }

    @Test("a terminal shows the last lines of a step and takes them away when it is done")
    func screen() {
        var screen = BuildScreen()
        #expect(screen.show("Step 1/2 : RUN x\n") == "Step 1/2 : RUN x\n")
        #expect(screen.show(" ---> Running in abc\n") == "")
        #expect(screen.show("one\ntw") == "  \u{1B}[2mone\u{1B}[0m\n")
        let second = screen.show("o\u{1B}[2J\r\n")
        #expect(second == "\u{1B}[1A\u{1B}[J  \u{1B}[2mone\u{1B}[0m\n  \u{1B}[2mtwo[2J\u{1B}[0m\n")
        for number in 0..<20 { _ = screen.show("\(number)\n") }
        let next = screen.show("Step 2/2 : RUN y\n")
        #expect(next == "\u{1B}[6A\u{1B}[JStep 2/2 : RUN y\n")
        #expect(screen.show(" ---> Using cache\n") == " ---> CACHED\n")
    }
}
