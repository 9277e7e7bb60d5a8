import Archive
import Blocking
import Linux
import OCI
import Store
import Synchronization
import SystemPackage

extension ImageStore {
    /// Compares everything in the store with its digests and rows. With `repairs` it mends what can be mended without
    /// losing anything: it corrects rows, marks damaged layers so that the next pull, load or build brings them anew, and
    /// sets aside (below `damaged/`) what nothing refers to. It deletes nothing.
    ///
    /// Images may come and go meanwhile.
    public func check(repairs: Bool) async throws -> StoreReport {
        try await blocking {
            let check = StoreCheck(self, repairs: repairs)
            try check.run()
            return check.report
        }
    }
}

/// One run over the store.
private final class StoreCheck {
    private let store: ImageStore
    private let repairs: Bool
    private(set) var report = StoreReport()

    private var layers: LayerStore { store.layers }

    init(_ store: ImageStore, repairs: Bool) {
        self.store = store
        self.repairs = repairs
    }

    func run() throws {
        for problem in try store.records.integrityProblems() {
            report.defects.append(StoreDefect(.database, "skiff.db", problem))
        }
        let known = try layers.records.all()
        for (layer, size) in known.sorted(by: { $0.key.hex < $1.key.hex }) { try check(layer, size: size) }
        try checkUnknownLayers()
        for image in try store.records.all() {
            // Those that are there still: rows and file come and go as one, as far as others can see.
            try store.withoutChanges { if let image = try store.records.find(image.id) { try check(image) } }
        }
        try checkUnknownBlobs()
    }

    private func note(_ defect: StoreDefect, _ repair: (inout StoreDefect) throws -> Void = { _ in }) throws {
        var defect = defect
        if repairs { try repair(&defect) }
        report.defects.append(defect)
    }

    /// When the engine is short of something just now, that says nothing of what it looks at.
    private static func rethrowShortage(_ error: any Error) throws {
        let shortages: [Errno] = [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory]
        if let error = error as? SystemError, shortages.contains(error.errno) { throw error }
    }

    // MARK: Layers

    private func check(_ layer: Digest, size: Int64) throws {
        layers.hold([layer])
        defer { layers.release([layer]) }
        // Removed since the list was made.
        guard try layers.records.size(layer) != nil else { return }
        report.layers += 1
        guard try lstatIfExists(layers.directory(layer)) != nil else {
            return try note(StoreDefect(.layerMissing, "\(layer)", "its files are gone\(try users(layer))")) { defect in
                defect.repair = try forgetSteps(layer)
            }
        }
        let found: LayerStore.Verified
        do {
            found = try layers.verify(layer)
        } catch {
            try Self.rethrowShortage(error)
            return try note(StoreDefect(.layerDamaged, "\(layer)", "\(error)\(try users(layer))")) { defect in
                try layers.markDamaged(layer, "\(error)\n")
                defect.repair = "marked, so that it comes anew; \(try forgetSteps(layer))"
            }
        }
        report.bytes += found.tarBytes
        if try layers.unmarkDamaged(layer, only: repairs) {
            try note(StoreDefect(.layerDamaged, "\(layer)", "marked as damaged, and is not")) { defect in
                defect.repair = "mark taken away"
                defect.isRepaired = true
            }
        }
        guard found.contentBytes != size else { return }
        try note(StoreDefect(.layerSize, "\(layer)", "\(size) bytes noted, \(found.contentBytes) found")) { defect in
            try layers.records.set(size: found.contentBytes, of: layer)
            defect.repair = "corrected"
            defect.isRepaired = true
        }
    }

    /// Steps of builds are done again, and so need not wait for a layer to come from elsewhere.
    private func forgetSteps(_ layer: Digest) throws -> String {
        try layers.records.deleteSteps(with: layer)
        return "pull, load or build again what needs it"
    }

    private func users(_ layer: Digest) throws -> String {
        let images = try store.records.all().filter { $0.layers.contains(layer) }
        let names = images.map { $0.references.first ?? $0.id.short }
        return names.isEmpty ? "" : " (needed by \(names.joined(separator: ", ")))"
    }

    /// Directories among the layers that have no row: whole ones get theirs, others are set aside.
    private func checkUnknownLayers() throws {
        let root = try OwnedFD.open(layers.root, [.readOnly, .directory])
        for name in try namesInDirectory(root).sorted() where name.description != "empty" {
            // Another name is none of ours, and stays where it is.
            guard let layer = try? Digest(hex: name.description) else {
                report.defects.append(StoreDefect(.fileUnknown, "layers/\(name)", "not the name of a layer"))
                continue
            }
            layers.hold([layer])
            defer { layers.release([layer]) }
            // A layer gets both at once, as far as others can see.
            let isOrphan = try layers.held.withLock { _ in
                try layers.records.size(layer) == nil && lstatIfExists(layers.directory(layer)) != nil
            }
            guard isOrphan else { continue }
            let whole: LayerStore.Verified?
            do {
                whole = try layers.verify(layer)
            } catch {
                try Self.rethrowShortage(error)
                whole = nil
            }
            let problem = whole == nil ? "and cannot be read" : "but whole"
            try note(StoreDefect(.layerUnknown, "\(layer)", "no row, \(problem)")) { defect in
                let (layers, store) = (layers, store)
                defect.repair = try layers.held.withLock { _ -> String in
                    // It may have come anew while it was read.
                    guard try layers.records.size(layer) == nil else { return "has come anew meanwhile" }
                    guard let whole else {
                        return "set aside as \(try store.setAside(layers.directory(layer), "layer-\(layer.hex)"))"
                    }
                    try layers.records.insert(layer, size: whole.contentBytes)
                    return "row written"
                }
                defect.isRepaired = true
            }
        }
    }

    // MARK: Images

    private func check(_ image: ImageRecord) throws {
        report.images += 1
        let name = image.references.first.map { "\($0) (\(image.id))" } ?? "\(image.id)"
        do {
            let config = try decodeDocument(
                ImageConfig.self, from: store.blobs.read(image.id, limit: Limits.documentBytes), "image configuration")
            if config.rootfs.diffIDs != image.layers {
                try note(StoreDefect(.imageBroken, name, "its rows name other layers than its configuration"))
            }
        } catch StoreError.missing {
            try note(StoreDefect(.configMissing, name, "no file of that digest")) { $0.repair = "pull or load it again" }
        } catch {
            try note(StoreDefect(.configDamaged, name, "\(error)")) { defect in
                let place = try store.setAside(store.blobs.path(image.id), "blob-\(image.id.hex)")
                defect.repair = "set aside as \(place); pull or load it again"
            }
        }
        for reference in image.references where (try? Reference(reference)) == nil {  // Why not is said by the text itself.
            try note(StoreDefect(.imageBroken, name, "\(reference.debugDescription) is no name"))
        }
    }

    private func checkUnknownBlobs() throws {
        let used = try store.blobsInUse()
        for blob in try store.blobs.all() where !used.contains(blob) {
            // A blob comes before its row, so it is looked at again while nobody is at work.
            let (store, repairs) = (store, repairs)
            let (isOrphan, place) = try store.withoutChanges { () -> (Bool, FilePath?) in
                guard try !store.blobsInUse().contains(blob), store.blobs.contains(blob) else { return (false, nil) }
                return (true, repairs ? try store.setAside(store.blobs.path(blob), "blob-\(blob.hex)") : nil)
            }
            guard isOrphan else { continue }
            try note(StoreDefect(.blobUnknown, "\(blob)", "no image has it")) { defect in
                defect.repair = place.map { "set aside as \($0)" } ?? ""
                defect.isRepaired = true
            }
        }
    }
}
