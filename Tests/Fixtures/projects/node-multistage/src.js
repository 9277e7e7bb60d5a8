console.log(require("left")("node @@ " + process.getuid()));
