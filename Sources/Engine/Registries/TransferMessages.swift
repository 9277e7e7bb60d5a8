import DockerAPI
import Images
import OCI

extension JSONMessage {
    init(status: String, id: String? = nil, detail: ProgressDetail? = nil) {
        self.init()
        self.status = status
        self.id = id
        progressDetail = detail
    }
}

extension ProgressBoard {
    /// A step of a layer in Docker's words.
    func tell(_ step: TransferStep, of layer: Digest) {
        switch step {
        case .waiting: note("Pulling fs layer", layer)
        case .alreadyExists: note("Already exists", layer)
        case .downloading(let current, let total): count("Downloading", current, total, layer)
        case .verifying: note("Verifying Checksum", layer)
        case .downloaded: note("Download complete", layer)
        case .extracting(let current, let total): count("Extracting", current, total, layer)
        case .pulled: note("Pull complete", layer)
        case .preparing: note("Preparing", layer)
        case .pushing(let current, let total): count("Pushing", current, total, layer)
        case .layerExists: note("Layer already exists", layer)
        case .mounted(let repository): note("Mounted from \(repository)", layer)
        case .pushed: note("Pushed", layer)
        case .retrying: note("Retrying", layer)
        }
    }

    private func note(_ status: String, _ layer: Digest) {
        post(JSONMessage(status: status, id: layer.short, detail: JSONMessage.ProgressDetail()))
    }

    private func count(_ status: String, _ current: Int64, _ total: Int64, _ layer: Digest) {
        var detail = JSONMessage.ProgressDetail()
        detail.current = current
        detail.total = total
        update(JSONMessage(status: status, id: layer.short, detail: detail))
    }
}
