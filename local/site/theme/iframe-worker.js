// The search runs in a worker, which a browser does not start for a page that is read from disk: here it runs in a frame.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const load = (src) => `new Promise(done => {
        const script = document.createElement("script")
        script.onload = script.onerror = done
        script.src = ${src}
        document.head.append(script)
      })`
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.srcdoc = `<!doctype html><script>
        window.postMessage = data => frameElement.worker.dispatchEvent(new MessageEvent("message", {data}))
        window.importScripts = async (...all) => { for (const each of all) await ${load("each")} }
      </` + `script><script src="${new URL(url, location)}"></` + `script>`
      frame.worker = this
      frame.onload = () => {
        this.frame = frame
        this.waiting.splice(0).forEach(data => this.postMessage(data))
      }
      document.documentElement.append(frame)
      this.addEventListener("message", event => this.onmessage?.(event))
    }
    postMessage(data) {
      if (!this.frame) return void this.waiting.push(data)
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", {data}))
    }
    terminate() { this.frame?.remove() }
  }
}
