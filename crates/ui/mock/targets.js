/** Targets of two jobs: one is down, one was not scraped yet, some were dropped. */
const target = (pool, address, health, lastError = "") => ({
  discoveredLabels: { __address__: address, __metrics_path__: "/metrics", __scheme__: "http", __scrape_interval__: "15s", __scrape_timeout__: "10s", __meta_filepath: "/etc/barograph/targets/shop.json", job: pool },
  labels: { instance: address, job: pool },
  scrapePool: pool,
  scrapeUrl: `http://${address}/metrics`,
  globalUrl: `http://${address}/metrics`,
  lastError,
  lastScrape: health === "unknown" ? "0001-01-01T00:00:00Z" : new Date(Date.now() - 4000).toISOString(),
  lastScrapeDuration: health === "unknown" ? 0 : 0.0123,
  health,
  scrapeInterval: "15s",
  scrapeTimeout: "10s",
});

export const targets = () => ({
  activeTargets: [
    target("node", "10.0.0.1:9100", "up"),
    target("node", "10.0.0.2:9100", "unknown"),
    target("shop", "checkout-7f9c6d:8080", "up"),
    target("shop", "payment-55d8b7:8080", "down", "no answer from payment-55d8b7:8080: tcp connect error: Connection refused (os error 111)"),
  ],
  droppedTargets: [
    { discoveredLabels: { __address__: "10.0.0.9:9100", env: "test", job: "node" }, scrapePool: "node" },
    { discoveredLabels: { __address__: "old:8080", __scheme__: "ftp", job: "shop" }, scrapePool: "shop", error: "scheme `ftp` is not supported, only `http` and `https` are" },
  ],
  droppedTargetCounts: { node: 1, shop: 1 },
});
